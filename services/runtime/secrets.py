"""Where secrets of a file that people write come from: the environment or files, never the file itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# What can be guessed proves nothing.
SHORTEST = 8


class UnknownSecretError(Exception):
    """The message says what is wrong, and nothing of the secret."""


@dataclass(frozen=True)
class Secrets:
    """Relative paths begin in `folder`."""

    environ: Mapping[str, str]
    folder: Path

    def read(self, variable: str | None, file: Path | None) -> str:
        """Raises UnknownSecretError."""
        if (variable is None) == (file is None):
            raise UnknownSecretError("name either a variable of the environment (_env) or a file (_file)")
        if variable is not None and variable not in self.environ:
            raise UnknownSecretError(f"the environment has no {variable[:80]}")
        secret = self.environ[variable] if variable is not None else self._in(file or Path())
        if len(secret) < SHORTEST:
            raise UnknownSecretError(f"has less than {SHORTEST} characters")
        return secret

    def place(self, file: Path) -> Path:
        return self.folder / file

    def _in(self, file: Path) -> str:
        try:
            return self.place(file).read_text("utf-8").strip()
        except OSError as broken:
            raise UnknownSecretError(f"{file} cannot be read: {broken.strerror}") from broken
        except ValueError as broken:
            raise UnknownSecretError(f"{file} cannot be read: it is no text in UTF-8") from broken
