"""A year of a city's reports: made, loaded, routed, joined into cases, lived through, counted."""
