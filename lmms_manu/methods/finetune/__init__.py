"""Fine-tuning on the people: the model that knows them, and the one that never met those to forget."""
