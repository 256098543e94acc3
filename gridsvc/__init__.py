"""Who is responsible here, for this, at this moment."""
