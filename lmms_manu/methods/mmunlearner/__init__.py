"""MMUnlearner: gradient difference in which only weights that matter for the faces to forget may forget."""
