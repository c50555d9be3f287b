"""What is no property of the rules is tried with fewer examples."""

from hypothesis import settings

from tests.scoring.effort import CI

settings.register_profile("usual", CI, max_examples=200)
settings.load_profile("usual")
