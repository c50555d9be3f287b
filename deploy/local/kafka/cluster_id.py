"""The cluster id of a data folder, noted before the first format so that a broken-off one repeats it."""

import base64
import secrets
from pathlib import Path


def cluster_id(file: Path) -> str:
    """22 URL-safe characters: Kafka's notation of 16 bytes."""
    if not file.exists():
        # A leading zero byte: an id that began with "-" would be read as an option on the command line.
        file.write_text(base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("="))
    return file.read_text()
