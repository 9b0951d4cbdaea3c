"""MIP-Editor: paths of neurons that answers to forget run along, and a misdirection through them alone."""
