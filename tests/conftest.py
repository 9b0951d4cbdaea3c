"""Settings that hold for every test."""

import torch
from hypothesis import settings

# Two busy cores make timings meaningless, and the first call of a function imports what it needs.
settings.register_profile("project", deadline=None, max_examples=50)
settings.load_profile("project")

# Sums that are split over threads may be rounded in another way from call to call, and some tests compare bits.
torch.set_num_threads(1)
