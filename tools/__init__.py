"""Programs that make or check what the project ships."""
