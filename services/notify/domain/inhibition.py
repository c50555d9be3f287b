"""A source that is silent freezes the rules of the relationships that depend on it: what nobody hears of neither fires
nor resolves."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from schemas.primitives import Instant
from services.notify.domain.spans import instant

SHOWN = 60
"""Characters of a source that a reason has room for."""
DIGEST_BYTES = 8
"""A relationship may have hundreds of sources of hundreds of characters; programmes expect a few."""


class Frozen(NamedTuple):
    """The source that is silent, and since when."""

    source: str
    since: Instant

    @property
    def reason(self) -> str:
        named = self.source if len(self.source) <= SHOWN else f"{self.source[: SHOWN - 1]}…"
        return f"{named} was silent since {instant(self.since)}"


@lru_cache(10_000)
def source_digest(source: str) -> str:
    return blake2b(source.encode(), digest_size=DIGEST_BYTES).hexdigest()


@lru_cache(10_000)
def source_digests(sources: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(map(source_digest, sources)))


def frozen_by(depends_on: Iterable[str], silent: Mapping[str, Frozen]) -> Frozen | None:
    """The source that has been silent for longest, of those that it depends on."""
    found = [silent[digest] for digest in depends_on if digest in silent]
    return min(found, key=lambda one: (one.since, one.source), default=None)
