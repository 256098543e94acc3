"""A made-up district, drawn by a seeded generator, stands in for a city in the demo and the tests."""

SEED = 110199
EPSG = 4547
DISTRICT = "110199"
