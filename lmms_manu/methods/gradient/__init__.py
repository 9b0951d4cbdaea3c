"""Methods that train: gradient ascent and what descends from it."""
