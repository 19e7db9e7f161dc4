"""The monthly run: its order, the key of each notebook, kernels, locks, and what is published."""
