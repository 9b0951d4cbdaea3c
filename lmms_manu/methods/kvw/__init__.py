"""KVW: the value vectors that answers about those to forget call on count less."""
