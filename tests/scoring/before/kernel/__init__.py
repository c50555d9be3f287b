"""The arithmetic of scores over flat sequences: sequences and numbers in, numbers out.

Nothing here allocates, looks up a dictionary or knows an object."""
