"""What a trainer hands out and shows: the student edition of the exercises, and slides."""
