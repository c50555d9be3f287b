"""Meetings reported by a coordinator: each is an event, submitted to the gateway as any tool would. Scores and alerts
follow from it; nothing here touches either."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from pydantic import SecretStr

from schemas.primitives import Id, Instant, to_rfc3339
from services.notify.board.access import BoardPerson
from services.notify.board.alert_commands import ActInvalidError
from services.runtime import log
from services.runtime.bounded_http import AsyncBoundedHttp, Bounds

SOURCE = "/rapport/board"
"""The source that the gateway token has to be allowed for."""
ACCEPTED = 202
ANSWER = Bounds(seconds=5.0, octets=64 * 1024)
LONGEST_AGO = timedelta(days=90)
"""Older ones need an import: they change decisions of long ago."""
NOON = time(12)


@dataclass(frozen=True)
class ReportedMeeting:
    """`at`: noon of the day in the zone of the programme, since nobody remembers the hour; today not after now. `form`
    makes a repeated form the same event."""

    tenant: Id
    program: Id
    relationship: Id
    day: date
    at: Instant
    form: str

    def held(self) -> dict[str, Any]:
        """Return the event. There is one meeting a day, whoever reports it: the session id is the day."""
        data = {
            "by": "admin",
            "evidence": "admin",
            "session_id": f"met-{self.day.isoformat()}",
            "started_at": to_rfc3339(self.at),
        }
        return self._event(self._id, "mentoring.session.held.v1", self.at, data)

    def retracted(self, now: Instant) -> dict[str, Any]:
        original = {"source": SOURCE, "id": self._id, "type": "mentoring.session.held.v1", "time": to_rfc3339(self.at)}
        data = {"by": "admin", "evidence": "admin", **original}
        return self._event(f"{self._id}-undo", "mentoring.event.retracted.v1", now, data)

    @property
    def _id(self) -> str:
        return f"met-{self.form}"

    def _event(self, id_: str, kind: str, at: Instant, data: Mapping[str, Any]) -> dict[str, Any]:
        envelope = {"specversion": "1.0", "source": SOURCE, "id": id_, "type": kind, "time": to_rfc3339(at)}
        # With the tenant a token of another tenant is refused instead of writing into its own.
        return {**envelope, "tenant": self.tenant, "program": self.program, "subject": self.relationship, "data": data}


@dataclass(frozen=True)
class GatewayAnswer:
    """Whether the gateway accepted an event, and why not."""

    is_accepted: bool
    reason: str = ""


def parse_meeting(day_text: str, zone: str, now: Instant, about: tuple[Id, Id, Id, str]) -> ReportedMeeting:
    """Parse a reported meeting. `day_text`: a day as forms send it; `about`: tenant, programme, relationship and the id
    of the form. Raises ActInvalidError."""
    try:
        day = date.fromisoformat(day_text)
    except ValueError as unreadable:
        raise ActInvalidError("the day they met on is missing") from unreadable
    today = now.astimezone(ZoneInfo(zone)).date()
    if day > today:
        raise ActInvalidError("that day lies ahead: a meeting to come is booked, not held")
    if today - day > LONGEST_AGO:
        raise ActInvalidError(f"that is longer ago than {LONGEST_AGO.days} days: import what lies so far back")
    at = min(datetime.combine(day, NOON, ZoneInfo(zone)).astimezone(UTC), now)
    tenant, program, relationship, form = about
    return ReportedMeeting(tenant, program, relationship, day, at, form)


def meeting_days(zone: str, now: Instant) -> tuple[str, str]:
    """Return the first and the last day that a form accepts."""
    today = now.astimezone(ZoneInfo(zone)).date()
    return (today - LONGEST_AGO).isoformat(), today.isoformat()


class Gateway:
    """`address` None: not configured. `tokens` by tenant."""

    def __init__(self, address: str | None, tokens: Mapping[Id, SecretStr]) -> None:
        self._address, self._tokens = (address or "").rstrip("/"), tokens

    def has_token_for(self, tenant: Id) -> bool:
        return bool(self._address) and tenant in self._tokens

    async def submit(self, meeting: ReportedMeeting, event: Mapping[str, Any], person: BoardPerson) -> GatewayAnswer:
        token = self._tokens[meeting.tenant].get_secret_value()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/cloudevents+json"}
        fields = {"id": event["id"], "type": event["type"], "tenant": meeting.tenant, "by": person.id}
        logger = log.get(__name__).bind(**fields, relationship=meeting.relationship)
        url, content = f"{self._address}/v1/events", json.dumps(event).encode()
        # A client per request: this happens a few times a day, and leaves no open connection.
        http = AsyncBoundedHttp()
        try:
            answer = await http.ask(lambda: httpx.Request("POST", url, content=content, headers=headers), ANSWER)
        except (TimeoutError, httpx.HTTPError, OSError) as away:
            logger.warning("meeting_not_told", reason=type(away).__name__)
            return GatewayAnswer(is_accepted=False, reason="the gateway does not answer: try again in a minute")
        finally:
            await http.close()
        if answer.status == ACCEPTED:
            logger.info("meeting_told")
            return GatewayAnswer(is_accepted=True)
        reason = f"HTTP {answer.status}"
        with suppress(ValueError):
            # Problem details (RFC 9457).
            found = json.loads(answer.body)
            reason = (str(found.get("detail", ""))[:200] if isinstance(found, dict) else "") or reason
        logger.warning("meeting_not_told", reason=reason, status=answer.status)
        return GatewayAnswer(is_accepted=False, reason=f"the gateway refused it: {reason}")
