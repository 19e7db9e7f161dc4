"""Did it work? Experiments read from the moments of their arms, planned, pooled and decided."""
