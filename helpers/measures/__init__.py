"""What was observed: the arithmetic of measures on summaries, frame in, frame out."""
