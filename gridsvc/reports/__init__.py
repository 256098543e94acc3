"""Reports: what was observed, kept as received, with every answer that was given to it."""
