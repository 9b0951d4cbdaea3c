"""Prompting: the model is told not to tell; no weight is changed."""
