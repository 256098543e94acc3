"""From a point to the people who answer for it."""
