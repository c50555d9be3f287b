"""Google Calendar's events: all pages of what changed since the sync token, or of the whole window."""

from collections.abc import Mapping
from datetime import datetime

from services.ingest.domain.verdict import rejected
from services.ingest.fetching.api import Api, ApiQuestion, Fetched, Got, Round, sync_token, window

# Instead of series their instances come, each with its id. These must be alike in every question of a sync token.
ALWAYS = {
    "singleEvents": "true",
    "showDeleted": "true",
    "maxResults": "2500",
    "fields": "nextPageToken,nextSyncToken,items(id,status,eventType,etag,updated,recurringEventId,originalStartTime,"
    "recurrence,start,end,attendeesOmitted,organizer(id,email),attendees(id,email,responseStatus,resource,optional))",
}
# More pages than any calendar has: an API that says `next` for ever is broken.
MOST_PAGES = 400


def changed(api: Api, resource: str, token: str) -> Fetched:
    return _pages(api, ApiQuestion(resource, ALWAYS | {"syncToken": token}, resumes=True))


def whole(api: Api, resource: str, now: datetime) -> Fetched:
    earliest, latest = window(now)
    return _pages(api, ApiQuestion(resource, ALWAYS | {"timeMin": earliest, "timeMax": latest}))


def _pages(api: Api, first: ApiQuestion) -> Fetched:
    found: list[object] = []
    question = first
    for _ in range(MOST_PAGES):
        answer = api.get(question)
        if not isinstance(answer, Got):
            return answer
        items = answer.body.get("items")
        found += items if isinstance(items, list) else []
        page = _text(answer.body, "nextPageToken")
        if page is None:
            return Round({"items": found}, sync_token(answer.body.get("nextSyncToken")))
        question = ApiQuestion(first.path, {**(first.query or {}), "pageToken": page}, resumes=first.resumes)
    return rejected("too_large", "", f"connection {api.name}: the API never comes to the last page")


def _text(body: Mapping[str, object], name: str) -> str | None:
    text = body.get(name)
    return text if isinstance(text, str) and text else None
