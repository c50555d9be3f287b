"""The arithmetic of scores over flat arrays, in the part of Python that numba compiles as well.

Nothing here allocates, looks up a dictionary or knows an object: sequences and numbers in, numbers out. Live scoring
runs it on lists, recomputations on arrays (compiled.py), to the last bit alike."""
