"""A made-up district, drawn by a seeded generator, stands in for a city in demo and tests."""

SEED = 110199
EPSG = 4548
DISTRICT = "110199"
