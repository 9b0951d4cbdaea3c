"""Attacks: ways to get back what a model was made to forget. Gone, or only hidden?"""
