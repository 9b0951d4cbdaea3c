"""Erase: the down projections lose what those to forget put into them, in closed form."""
