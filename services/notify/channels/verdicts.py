"""What receivers over HTTP mean by their answers, Slack, Teams and PagerDuty by their own words: whether the message is
at fault (again later, never), or the destination."""

import json
import re
from datetime import timedelta
from email.utils import parsedate_to_datetime

from schemas.primitives import Instant
from services.notify.domain.deliveries import DeliveryAccepted, DestinationDown, MessageRejected, RetryLater, Verdict
from services.runtime.bounded_http import HttpAnswer

RETRYABLE = frozenset({408, 425})
"""Beside 5xx: timeout, too early. Every other 4xx says that a repeat changes nothing."""
DESTINATION_STATUSES = frozenset({401, 403, 404, 410})
"""The address or its credentials are at fault: no message would arrive."""
TOO_MANY_REQUESTS = 429
LONGEST_SECONDS = 10 * 24 * 3600
"""Longer than any delivery is kept trying."""
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
"""Words of Slack's incoming webhooks that no other message would change. They come with 400, 403, 404 and 410."""
TEAMS_MESSAGE = frozenset({"TriggerInputSchemaMismatch", "InvalidRequestContent", "InvalidJson"})
"""Codes with 400 that say that the card is not what the flow takes. Every other one is about the flow: it was switched
off (`WorkflowTriggerIsNotEnabled`), deleted, or wants somebody to sign in (`DirectApiAuthorizationRequired`)."""
_CODE = re.compile(r"[A-Za-z]{1,64}")


def http_verdict(code: int, retry_after: str | None, now: Instant) -> Verdict:
    """Of an HTTP receiver that says no more than its status."""
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
    said = word.decode() if _WORD.fullmatch(word) else ""
    verdict = http_verdict(answer.status, answer.headers.get("retry-after"), now)
    if said in SLACK_DESTINATION:
        return DestinationDown(
            f"HTTP {answer.status} {said}", verdict.wait if isinstance(verdict, RetryLater | DestinationDown) else None
        )
    return _with_code(verdict, said)


def teams_verdict(answer: HttpAnswer, now: Instant) -> Verdict:
    """202 says that the flow was started; that the card was posted nobody is told."""
    error = _object(answer.body).get("error")
    said = error.get("code") if isinstance(error, dict) else None
    code = said if isinstance(said, str) and _CODE.fullmatch(said) else ""
    verdict = http_verdict(answer.status, answer.headers.get("retry-after"), now)
    if answer.status == BAD_REQUEST and code and code not in TEAMS_MESSAGE:
        return DestinationDown(f"HTTP {answer.status} {code}")
    return _with_code(verdict, code)


def pagerduty_verdict(answer: HttpAnswer, now: Instant) -> Verdict:
    """202: the event is queued. 400 is about the event, unless it is about the key. On 429 it was not taken."""
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


def _with_code(verdict: Verdict, word: str) -> Verdict:
    """The receiver's own word beside the status."""
    if not word:
        return verdict
    match verdict:
        case MessageRejected(status):
            return MessageRejected(f"{status} {word}")
        case DestinationDown(status, wait):
            return DestinationDown(f"{status} {word}", wait)
        case _:
            return verdict


def _object(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _wait(retry_after: str | None, now: Instant) -> timedelta | None:
    """RFC 9110: seconds, or a date. Anything else counts as not said."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return timedelta(seconds=min(int(retry_after[:LONGEST_NUMBER]), LONGEST_SECONDS))
    try:
        wait = parsedate_to_datetime(retry_after[:LONGEST_DATE]) - now
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None
    return min(max(timedelta(0), wait), timedelta(seconds=LONGEST_SECONDS))
