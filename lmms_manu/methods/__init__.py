"""Unlearning methods: each a folder with its settings, its arithmetic, and a class that edits a model."""
