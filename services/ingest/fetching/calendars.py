"""The requests to each calendar's API. Google Calendar: all pages of the changes since a sync token, or of a window of
time. Microsoft Graph: the delta of a calendar view, an event of a group, the attendance reports of a meeting."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from services.ingest.fetching.api import (
    Api,
    ApiQuestion,
    Body,
    Fetched,
    Gone,
    Round,
    pages,
    sync_token,
    window,
)
from services.ingest.sources.microsoft_graph.events import MASTER, REMOVED, without_master

# With these, instances are returned in place of series. They must be the same in every request with a sync token.
GOOGLE_PARAMETERS = {
    "singleEvents": "true",
    "showDeleted": "true",
    "maxResults": "2500",
    "fields": "nextPageToken,nextSyncToken,items(id,iCalUID,status,eventType,etag,updated,recurringEventId,"
    "originalStartTime,recurrence,start,end,visibility,attendeesOmitted,guestsCanSeeOtherGuests,"
    "organizer(id,email,self),attendees(id,email,responseStatus,resource,self,organizer,additionalGuests))",
}


def google_incremental_sync(api: Api, resource: str, token: str) -> Fetched:
    return _google_pages(api, resource, {"syncToken": token})


def google_full_sync(api: Api, resource: str, now: datetime) -> Fetched:
    earliest, latest = window(now)
    return _google_pages(api, resource, {"timeMin": earliest, "timeMax": latest})


def _google_pages(api: Api, resource: str, selection: Mapping[str, str]) -> Fetched:
    def question(page: object) -> ApiQuestion:
        token = {"pageToken": str(page)} if page else {}
        parameters = {**GOOGLE_PARAMETERS, **selection, **token}
        return ApiQuestion(resource, parameters, resumes="syncToken" in selection)

    def following(body: Body) -> ApiQuestion | None:
        page = body.get("nextPageToken")
        return question(page) if isinstance(page, str) and page else None

    return pages(api, question(None), "items", following, lambda body: sync_token(body.get("nextSyncToken")))


VIEW, REPORTS = "/calendarView", "/attendanceReports"
HEADERS = {"prefer": 'outlook.timezone="UTC", odata.maxpagesize=200'}
MORE_RECORDS = "attendanceRecords@odata.nextLink"
EXPANDED = {"$expand": "attendanceRecords"}


def graph_incremental_sync(api: Api, resource: str, token: str) -> Fetched:
    """Only calendar views have sync tokens."""
    found = _graph_pages(api, ApiQuestion(f"{resource}/delta", {"$deltatoken": token}, HEADERS, resumes=True))
    return _with_masters(api, resource, found)


def graph_full_sync(api: Api, resource: str, now: datetime) -> Fetched:
    if resource.endswith(VIEW):
        found = _graph_pages(api, ApiQuestion(f"{resource}/delta", _between(now), HEADERS))
        return _with_masters(api, resource, found)
    if resource.endswith(REPORTS):
        return _reports(api, resource)
    return _report(api, resource) if REPORTS in resource else _event(api, resource, now)


def _between(now: datetime) -> dict[str, str]:
    return dict(zip(("startDateTime", "endDateTime"), window(now), strict=True))


def _graph_pages(api: Api, first: ApiQuestion) -> Fetched:
    """Only the sync token of its link is kept: the link names the owner of the mailbox."""

    def following(body: Body) -> ApiQuestion | None:
        link = body.get("@odata.nextLink")
        return ApiQuestion(link, None, first.headers, resumes=first.resumes) if isinstance(link, str) else None

    def delta_token(body: Body) -> str | None:
        link = body.get("@odata.deltaLink")
        query = dict(parse_qsl(urlsplit(link).query)) if isinstance(link, str) else {}
        return sync_token(next((value for name, value in query.items() if name.lower() == "$deltatoken"), None))

    return pages(api, first, "value", following, delta_token)


def _with_masters(api: Api, resource: str, found: Fetched) -> Fetched:
    """Occurrences have only their times: the attendees are fetched with the master of a series that did not change."""
    if not isinstance(found, Round):
        return found
    values = _values(found)
    present = {one.get("id") for one in values if isinstance(one, dict)}
    for master in without_master(values):
        if master in present:
            continue
        answer = api.get(ApiQuestion(f"{resource.removesuffix(VIEW)}/events/{quote(master, safe='@=')}", None, HEADERS))
        if isinstance(answer, Round):
            values.append(answer.body)
        elif not isinstance(answer, Gone):
            return answer
    return Round({"value": values}, found.token)


def _event(api: Api, resource: str, now: datetime) -> Fetched:
    """A missing event was deleted, and is returned as in a delta. For a series its occurrences are fetched."""
    answer = api.get(ApiQuestion(resource, None, HEADERS))
    if isinstance(answer, Gone):
        return Round({"value": [{"id": resource.rpartition("/")[2], REMOVED: {"reason": "deleted"}}]})
    if not isinstance(answer, Round) or answer.body.get("type") != MASTER:
        return _as_list(answer)
    return _graph_pages(api, ApiQuestion(f"{resource}/instances", _between(now), HEADERS))


def _reports(api: Api, resource: str) -> Fetched:
    """The list has no attendees, so each report of a meeting is fetched."""
    listed = _graph_pages(api, ApiQuestion(resource))
    if not isinstance(listed, Round):
        return listed
    found: list[object] = []
    for one in _values(listed):
        name = one.get("id") if isinstance(one, dict) else None
        report = _report(api, f"{resource}/{quote(str(name), safe='@=')}")
        if isinstance(report, Round):
            found += _values(report)
        elif not isinstance(report, Gone):
            return report
    return Round({"value": found})


def _report(api: Api, resource: str) -> Fetched:
    """With all attendees: beyond one page, they continue under a link of their own."""
    answer = api.get(ApiQuestion(resource, EXPANDED))
    link = answer.body.get(MORE_RECORDS) if isinstance(answer, Round) else None
    if not isinstance(answer, Round) or not isinstance(link, str):
        return _as_list(answer)
    more = _graph_pages(api, ApiQuestion(link))
    if not isinstance(more, Round):
        return more
    first = answer.body.get("attendanceRecords")
    records = [*(first if isinstance(first, list) else []), *_values(more)]
    return Round({"value": [{**answer.body, "attendanceRecords": records}]})


def _as_list(answer: Fetched) -> Fetched:
    return Round({"value": [answer.body]}) if isinstance(answer, Round) else answer


def _values(found: Round) -> list[object]:
    values = found.body["value"]
    assert isinstance(values, list)
    return values


class Vendor(NamedTuple):
    """`incremental_sync`: the changes since a sync token. `full_sync`: everything in the window around now."""

    incremental_sync: Callable[[Api, str, str], Fetched]
    full_sync: Callable[[Api, str, datetime], Fetched]


VENDORS: Mapping[str, Vendor] = {
    "google_calendar": Vendor(google_incremental_sync, google_full_sync),
    "microsoft_graph": Vendor(graph_incremental_sync, graph_full_sync),
}
