"""The names of the towers, apart from their code so that settings are checked without torch."""

LANGUAGE = "language"
VISION = "vision"
TOWERS = (LANGUAGE, VISION)
