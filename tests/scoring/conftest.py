"""What is no property of the rules is tried with fewer examples, whatever the profile."""

from hypothesis import settings

from tests.scoring import effort  # noqa: F401 (it registers the profiles)

settings.load_profile("usual")
