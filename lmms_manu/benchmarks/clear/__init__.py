"""CLEAR (arXiv 2410.18057): fictitious authors in pictures and text, real faces and the real world."""
