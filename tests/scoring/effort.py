"""How hard hypothesis tries at the properties of every service, as tests/conftest.py says: 200 examples of each, 2,000
with `HYPOTHESIS_PROFILE=ci` (so does `.ci/run`), 20,000 with `long` to be sure, 100 with `quick` while writing."""

import os

from hypothesis import HealthCheck, settings

USUAL = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("usual", USUAL)
settings.register_profile("ci", USUAL, max_examples=2_000)
settings.register_profile("long", USUAL, max_examples=20_000, derandomize=False)
settings.register_profile("quick", USUAL, max_examples=100)

PROPERTY = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))
