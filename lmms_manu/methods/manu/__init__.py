"""Modality-aware neuron pruning (Liu et al., ACL 2025, arXiv 2502.15910) and variants of its score."""
