"""What is done with persons on request: lists by consent, and forgetting them everywhere."""
