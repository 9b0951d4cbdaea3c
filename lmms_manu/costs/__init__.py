"""What an edit takes of a machine, calculated from a model's configuration before any weight is there."""
