"""From executed notebooks to a month in its place: normal form, pages, all or nothing."""
