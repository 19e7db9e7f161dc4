"""The course: exercises on the sample shop, checks that teach, and the truth at the end."""
