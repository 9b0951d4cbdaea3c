"""Answering prompts with a loaded model: batches that fit, starts that are computed once, likelihoods.

Its settings are read where no model is: this package imports nothing by itself.
"""
