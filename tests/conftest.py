"""Settings that hold for every test."""

from hypothesis import settings

# Two busy cores make timings meaningless, and the first call of a function imports what it needs.
settings.register_profile("project", deadline=None, max_examples=50)
settings.load_profile("project")
