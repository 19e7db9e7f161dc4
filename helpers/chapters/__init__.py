"""What each notebook shows: frames, and the sentences and titles computed from them."""
