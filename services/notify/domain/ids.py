"""Ids that are the same after any crash: derived from what they name, never drawn."""

from hashlib import sha256


def alert_key(tenant: str, rule: str, subject: str) -> str:
    """Names a rule on a subject, over all its episodes."""
    return _hash(tenant, rule, subject)


def dedup_key(key: str, episode: int) -> str:
    """Names one episode of an alert: all its transitions carry it."""
    return f"{key[:32]}-{episode}"


def delivery_id(dedup: str, transition: str, channel: str, recipient: str) -> str:
    """Names one message to one recipient: a repeat carries the same."""
    return _hash(dedup, transition, channel, recipient)


def _hash(*parts: str) -> str:
    # The separator occurs in no part: ("ab", "c") and ("a", "bc") are two things.
    return sha256("\x00".join(parts).encode()).hexdigest()
