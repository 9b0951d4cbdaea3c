"""What lmms-eval loads as tasks."""
