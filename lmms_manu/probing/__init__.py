"""Looks into a model layer by layer: what its hidden states would still say."""
