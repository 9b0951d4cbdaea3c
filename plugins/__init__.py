"""What lmms-eval loads as models."""
