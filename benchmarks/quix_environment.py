"""The virtual environment of Quix Streams, built once and kept until its requirements change."""

import hashlib
import subprocess
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements-quix.txt")
INSTALL_TIMEOUT = 600
"""Seconds."""


class QuixMissingError(Exception):
    """The installation failed; the message ends with the installer's output."""


def quix_interpreter(folder: Path) -> str:
    """Return the interpreter with Quix Streams. Raises QuixMissingError."""
    place = folder / f"quix-{hashlib.blake2b(REQUIREMENTS.read_bytes(), digest_size=6).hexdigest()}"
    python, ready = place / "bin" / "python", place / "ready"
    if not ready.exists():
        venv.create(place, with_pip=True, clear=True)
        _install(str(python))
        ready.touch()
    return str(python)


def _install(python: str) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=True)
    except subprocess.CalledProcessError as failed:
        last = failed.stderr.strip().splitlines()[-1:]
        raise QuixMissingError(f"{REQUIREMENTS.name} cannot be installed: {''.join(last)}") from failed
    except subprocess.TimeoutExpired as late:
        raise QuixMissingError(f"{REQUIREMENTS.name} is not installed after {INSTALL_TIMEOUT} s") from late
