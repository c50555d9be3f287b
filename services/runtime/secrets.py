"""Resolves secrets that configuration files refer to: from the environment or other files, never inline."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Shorter secrets can be guessed.
MIN_CHARACTERS = 8


class UnknownSecretError(Exception):
    """The message names the problem and contains nothing of the secret."""


@dataclass(frozen=True)
class Secrets:
    """Relative paths start at `folder`."""

    environ: Mapping[str, str]
    folder: Path

    def read(self, variable: str | None, file: Path | None) -> str:
        """Raises UnknownSecretError."""
        if (variable is None) == (file is None):
            raise UnknownSecretError("name either a variable of the environment (_env) or a file (_file)")
        if variable is not None and variable not in self.environ:
            raise UnknownSecretError(f"the environment has no {variable[:80]}")
        secret = self.environ[variable] if variable is not None else self._read_file(file or Path())
        if len(secret) < MIN_CHARACTERS:
            raise UnknownSecretError(f"has less than {MIN_CHARACTERS} characters")
        return secret

    def resolve(self, file: Path) -> Path:
        return self.folder / file

    def _read_file(self, file: Path) -> str:
        try:
            return self.resolve(file).read_text("utf-8").strip()
        except OSError as broken:
            raise UnknownSecretError(f"{file} cannot be read: {broken.strerror}") from broken
        except ValueError as broken:
            raise UnknownSecretError(f"{file} cannot be read: it is no text in UTF-8") from broken
