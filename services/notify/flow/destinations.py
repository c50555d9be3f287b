"""The destinations as environment and file name them now. A file that is at fault changes nothing: it is told, and the
former one counts."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from services.notify.channels.destinations import DestinationsConfig, DestinationsError
from services.notify.channels.destinations_file import load_destinations
from services.notify.flow.metrics import Metrics
from services.notify.settings import NotifySettings
from services.runtime import log

LOOK_SECONDS = 2.0


def configured(settings: NotifySettings, environ: Mapping[str, str] = os.environ) -> DestinationsConfig:
    """Raises DestinationsError."""
    own = tuple(settings.destinations())
    if settings.notify_destinations is None:
        return DestinationsConfig(own)
    found = load_destinations(settings.notify_destinations, environ, own)
    taken = {one.name for one in own} & {one.name for one in found.destinations[len(own) :]}
    if taken:
        raise DestinationsError(f"{settings.notify_destinations}: {', '.join(sorted(taken))}: is named by the settings")
    return found


class DestinationsFile:
    def __init__(self, settings: NotifySettings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._seen = _stamp(settings.notify_destinations)
        self._looked_at = time.monotonic()
        self._log = log.get(__name__)

    def changed(self) -> DestinationsConfig | None:
        """The destinations, if the file is another than when it was last looked at, and is valid."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return None
        self._looked_at = time.monotonic()
        stamp = _stamp(self._settings.notify_destinations)
        if stamp == self._seen:
            return None
        self._seen = stamp
        try:
            found = configured(self._settings)
        except DestinationsError as fault:
            self._metrics.destinations_unreadable.set(1)
            self._log.error("destinations_at_fault", reason=str(fault))
            return None
        self._metrics.destinations_unreadable.set(0)
        self._log.info("destinations_changed", destinations=[one.name for one in found.destinations])
        return found


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    """None for a file that is away: whoever replaces one may have no file for a moment."""
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return None
    return found and (found.st_mtime_ns, found.st_size, found.st_ino)
