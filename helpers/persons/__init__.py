"""Who is behind a pseudonym, who is to be forgotten, and where their ids stand in texts."""
