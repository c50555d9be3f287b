"""Google Calendar's events: all pages of what changed since the sync token, or of the whole window."""

from datetime import datetime

from services.ingest.fetching.api import Api, ApiQuestion, Body, Fetched, pages, sync_token, window

# Instead of series their instances come, each with its id. These must be alike in every question of a sync token.
ALWAYS = {
    "singleEvents": "true",
    "showDeleted": "true",
    "maxResults": "2500",
    "fields": "nextPageToken,nextSyncToken,items(id,status,eventType,etag,updated,recurringEventId,originalStartTime,"
    "recurrence,start,end,attendeesOmitted,organizer(id,email),attendees(id,email,responseStatus,resource,optional))",
}


def changed(api: Api, resource: str, token: str) -> Fetched:
    return _pages(api, ApiQuestion(resource, ALWAYS | {"syncToken": token}, resumes=True))


def whole(api: Api, resource: str, now: datetime) -> Fetched:
    earliest, latest = window(now)
    return _pages(api, ApiQuestion(resource, ALWAYS | {"timeMin": earliest, "timeMax": latest}))


def _pages(api: Api, first: ApiQuestion) -> Fetched:
    def following(body: Body) -> ApiQuestion | None:
        page = body.get("nextPageToken")
        if not isinstance(page, str) or not page:
            return None
        return ApiQuestion(first.path, {**(first.query or {}), "pageToken": page}, resumes=first.resumes)

    return pages(api, first, "items", following, lambda body: sync_token(body.get("nextSyncToken")))
