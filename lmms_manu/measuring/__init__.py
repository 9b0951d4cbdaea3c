"""What a model's neurons do on the forget and the retain set: five sums per neuron, measured once and kept."""
