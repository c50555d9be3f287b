"""How hard hypothesis tries at the properties: `HYPOTHESIS_PROFILE=quick` while writing, `long` to be sure, `ci`
otherwise."""

import os

from hypothesis import HealthCheck, settings

CI = settings(max_examples=2000, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("ci", CI)
settings.register_profile("quick", CI, max_examples=100)
settings.register_profile("long", CI, max_examples=20_000, derandomize=False)

PROPERTY = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
