"""Training of a loaded model on answers: examples, losses, the reference, and a loop of transformers' Trainer."""
