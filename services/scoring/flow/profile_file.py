"""A profile as somebody wrote it down to try it: one record of YAML or JSON."""

import json
from pathlib import Path

from pydantic import ValidationError

from schemas.programs import Profile
from services.runtime.strict_yaml import UnreadableError, documents

UNNAMED = "what-if"


class ProfileFileError(Exception):
    """The file holds no profile; the message names the place and the reason."""


def read_profile(file: Path) -> Profile:
    """The fields of schemas.programs.Profile; what is left out has its default, `version` is not needed, and
    `effective_from` is not looked at. Raises ProfileFileError."""
    try:
        records = documents(file)
    except UnreadableError as broken:
        raise ProfileFileError(str(broken)) from broken
    if len(records) != 1 or not isinstance(records[0], dict):
        raise ProfileFileError(f"{file}: a profile is one mapping of names to values")
    try:
        profile = Profile.model_validate_json(json.dumps({"version": UNNAMED, **records[0]}))
    except (ValidationError, TypeError, ValueError) as invalid:
        raise ProfileFileError("\n".join(f"{file}: {fault}" for fault in _faults(invalid))) from invalid
    return profile.model_copy(update={"effective_from": None})


def _faults(invalid: Exception) -> list[str]:
    if not isinstance(invalid, ValidationError):
        return [str(invalid)]
    listed = invalid.errors(include_url=False, include_context=False, include_input=False)
    return [f"{'.'.join(map(str, error['loc'])) or 'the profile'}: {error['msg']}" for error in listed]
