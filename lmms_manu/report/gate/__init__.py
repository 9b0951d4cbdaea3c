"""Conditions on results, for CI: what has to hold, whether it held, and how to say so."""
