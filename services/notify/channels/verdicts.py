"""Verdicts on the answers of HTTP receivers, of Slack, Teams and PagerDuty by their error codes: whether the message is
at fault (retry, or never), or the destination."""

import json
import re
from datetime import timedelta
from email.utils import parsedate_to_datetime

from schemas.primitives import Instant
from services.notify.domain.deliveries import DeliveryAccepted, DestinationDown, MessageRejected, RetryLater, Verdict
from services.runtime.bounded_http import HttpAnswer

RETRYABLE = frozenset({408, 425})
"""Beside 5xx: timeout, too early. For every other 4xx a retry changes nothing."""
DESTINATION_STATUSES = frozenset({401, 403, 404, 410})
"""The address or its credentials are at fault: no message would arrive."""
TOO_MANY_REQUESTS = 429
LONGEST_SECONDS = 10 * 24 * 3600
"""Longer than any delivery is retried."""
LONGEST_NUMBER, LONGEST_DATE = 9, 100
"""Characters; a header may have a hundred thousand."""
BAD_REQUEST = 400
_WORD = re.compile(rb"[a-z_]{1,64}")
SLACK_DESTINATION = frozenset(
    {
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "posting_to_general_channel_denied",
        "team_disabled",
        "user_not_found",
    }
)
"""Error codes of Slack's incoming webhooks that no other message would change. They come with 400, 403, 404 and 410."""
TEAMS_MESSAGE = frozenset({"TriggerInputSchemaMismatch", "InvalidRequestContent", "InvalidJson"})
"""Codes with 400 for a card that the flow does not accept. Every other one is about the flow: it was switched off
(`WorkflowTriggerIsNotEnabled`), deleted, or requires sign-in (`DirectApiAuthorizationRequired`)."""
_CODE = re.compile(r"[A-Za-z]{1,64}")


def http_verdict(code: int, retry_after: str | None, now: Instant) -> Verdict:
    """Return the verdict by the HTTP status alone."""
    status = f"HTTP {code}"
    match code // 100:
        case 2:
            return DeliveryAccepted(status)
        case 3:
            return DestinationDown(f"{status}: redirects are not followed")
        case 5:
            return RetryLater(status, _wait(retry_after, now))
        case _:
            wait = _wait(retry_after, now)
            if code == TOO_MANY_REQUESTS or code in DESTINATION_STATUSES:
                return DestinationDown(status, wait)
            return RetryLater(status, wait) if code in RETRYABLE else MessageRejected(status)


def slack_verdict(answer: HttpAnswer, now: Instant) -> Verdict:
    word = answer.body.strip()
    code = word.decode() if _WORD.fullmatch(word) else ""
    verdict = http_verdict(answer.status, answer.headers.get("retry-after"), now)
    if code in SLACK_DESTINATION:
        return DestinationDown(
            f"HTTP {answer.status} {code}", verdict.wait if isinstance(verdict, RetryLater | DestinationDown) else None
        )
    return _with_code(verdict, code)


def teams_verdict(answer: HttpAnswer, now: Instant) -> Verdict:
    """Return the verdict of Teams. 202 says that the flow was started; whether the card was posted is unknown."""
    error = _object(answer.body).get("error")
    given = error.get("code") if isinstance(error, dict) else None
    code = given if isinstance(given, str) and _CODE.fullmatch(given) else ""
    verdict = http_verdict(answer.status, answer.headers.get("retry-after"), now)
    if answer.status == BAD_REQUEST and code and code not in TEAMS_MESSAGE:
        return DestinationDown(f"HTTP {answer.status} {code}")
    return _with_code(verdict, code)


def pagerduty_verdict(answer: HttpAnswer, now: Instant) -> Verdict:
    """Return the verdict of PagerDuty. 202: the event is queued. 400 is about the event, unless it is about the key. On
    429 the event was not accepted."""
    verdict = http_verdict(answer.status, answer.headers.get("retry-after"), now)
    found = _object(answer.body)
    match verdict:
        case DeliveryAccepted(status):
            key = found.get("dedup_key")
            return DeliveryAccepted(status, key if isinstance(key, str) else "")
        case MessageRejected(status) if (
            answer.status == BAD_REQUEST and "routing" in str(found.get("errors", "")).lower()
        ):
            return DestinationDown(f"{status}: the routing key is not valid")
        case _:
            return verdict


def _with_code(verdict: Verdict, code: str) -> Verdict:
    """Add the receiver's error code to the status."""
    if not code:
        return verdict
    match verdict:
        case MessageRejected(status):
            return MessageRejected(f"{status} {code}")
        case DestinationDown(status, wait):
            return DestinationDown(f"{status} {code}", wait)
        case _:
            return verdict


def _object(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _wait(retry_after: str | None, now: Instant) -> timedelta | None:
    """Parse Retry-After (RFC 9110): seconds, or a date. Anything else counts as absent."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return timedelta(seconds=min(int(retry_after[:LONGEST_NUMBER]), LONGEST_SECONDS))
    try:
        wait = parsedate_to_datetime(retry_after[:LONGEST_DATE]) - now
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None
    return min(max(timedelta(0), wait), timedelta(seconds=LONGEST_SECONDS))
