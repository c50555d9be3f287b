"""What is asked of each calendar's API. Google Calendar: all pages of what changed since the sync token, or of a whole
window. Microsoft Graph: the delta of a calendar view, an event of a group, the attendance reports of a meeting."""

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

# Instead of series their instances come, each with its id. These must be alike in every question of a sync token.
GOOGLE_ALWAYS = {
    "singleEvents": "true",
    "showDeleted": "true",
    "maxResults": "2500",
    "fields": "nextPageToken,nextSyncToken,items(id,iCalUID,status,eventType,etag,updated,recurringEventId,"
    "originalStartTime,recurrence,start,end,visibility,attendeesOmitted,guestsCanSeeOtherGuests,"
    "organizer(id,email,self),attendees(id,email,responseStatus,resource,self,organizer,additionalGuests))",
}


def google_changed(api: Api, resource: str, token: str) -> Fetched:
    return _google_pages(api, resource, {"syncToken": token})


def google_whole(api: Api, resource: str, now: datetime) -> Fetched:
    earliest, latest = window(now)
    return _google_pages(api, resource, {"timeMin": earliest, "timeMax": latest})


def _google_pages(api: Api, resource: str, asked: Mapping[str, str]) -> Fetched:
    def question(page: object) -> ApiQuestion:
        token = {"pageToken": str(page)} if page else {}
        return ApiQuestion(resource, {**GOOGLE_ALWAYS, **asked, **token}, resumes="syncToken" in asked)

    def following(body: Body) -> ApiQuestion | None:
        page = body.get("nextPageToken")
        return question(page) if isinstance(page, str) and page else None

    return pages(api, question(None), "items", following, lambda body: sync_token(body.get("nextSyncToken")))


VIEW, REPORTS = "/calendarView", "/attendanceReports"
HEADERS = {"prefer": 'outlook.timezone="UTC", odata.maxpagesize=200'}
MORE_RECORDS = "attendanceRecords@odata.nextLink"
EXPANDED = {"$expand": "attendanceRecords"}


def graph_changed(api: Api, resource: str, token: str) -> Fetched:
    """Only calendar views give tokens."""
    found = _graph_pages(api, ApiQuestion(f"{resource}/delta", {"$deltatoken": token}, HEADERS, resumes=True))
    return _with_masters(api, resource, found)


def graph_whole(api: Api, resource: str, now: datetime) -> Fetched:
    if resource.endswith(VIEW):
        found = _graph_pages(api, ApiQuestion(f"{resource}/delta", _between(now), HEADERS))
        return _with_masters(api, resource, found)
    if resource.endswith(REPORTS):
        return _reports(api, resource)
    return _report(api, resource) if REPORTS in resource else _event(api, resource, now)


def _between(now: datetime) -> dict[str, str]:
    return dict(zip(("startDateTime", "endDateTime"), window(now), strict=True))


def _graph_pages(api: Api, first: ApiQuestion) -> Fetched:
    """The sync token alone is kept of the link that holds it: the link names the owner of the mailbox."""

    def following(body: Body) -> ApiQuestion | None:
        link = body.get("@odata.nextLink")
        return ApiQuestion(link, None, first.headers, resumes=first.resumes) if isinstance(link, str) else None

    def delta_token(body: Body) -> str | None:
        link = body.get("@odata.deltaLink")
        query = dict(parse_qsl(urlsplit(link).query)) if isinstance(link, str) else {}
        return sync_token(next((value for name, value in query.items() if name.lower() == "$deltatoken"), None))

    return pages(api, first, "value", following, delta_token)


def _with_masters(api: Api, resource: str, found: Fetched) -> Fetched:
    """Occurrences say only when they are: a series that did not change itself is asked who takes part."""
    if not isinstance(found, Round):
        return found
    values = _values(found)
    known = {one.get("id") for one in values if isinstance(one, dict)}
    for master in without_master(values):
        if master in known:
            continue
        answer = api.get(ApiQuestion(f"{resource.removesuffix(VIEW)}/events/{quote(master, safe='@=')}", None, HEADERS))
        if isinstance(answer, Round):
            values.append(answer.body)
        elif not isinstance(answer, Gone):
            return answer
    return Round({"value": values}, found.token)


def _event(api: Api, resource: str, now: datetime) -> Fetched:
    """One that is gone was deleted, which is told as a delta would. Of a series the occurrences are asked for."""
    answer = api.get(ApiQuestion(resource, None, HEADERS))
    if isinstance(answer, Gone):
        return Round({"value": [{"id": resource.rpartition("/")[2], REMOVED: {"reason": "deleted"}}]})
    if not isinstance(answer, Round) or answer.body.get("type") != MASTER:
        return _listed(answer)
    return _graph_pages(api, ApiQuestion(f"{resource}/instances", _between(now), HEADERS))


def _reports(api: Api, resource: str) -> Fetched:
    """The list leaves out who was there, so each of a meeting's reports is asked for."""
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
    """With everybody who was there: more than a page of them go on under a link of their own."""
    answer = api.get(ApiQuestion(resource, EXPANDED))
    link = answer.body.get(MORE_RECORDS) if isinstance(answer, Round) else None
    if not isinstance(answer, Round) or not isinstance(link, str):
        return _listed(answer)
    more = _graph_pages(api, ApiQuestion(link))
    if not isinstance(more, Round):
        return more
    first = answer.body.get("attendanceRecords")
    records = [*(first if isinstance(first, list) else []), *_values(more)]
    return Round({"value": [{**answer.body, "attendanceRecords": records}]})


def _listed(answer: Fetched) -> Fetched:
    return Round({"value": [answer.body]}) if isinstance(answer, Round) else answer


def _values(found: Round) -> list[object]:
    values = found.body["value"]
    assert isinstance(values, list)
    return values


class Vendor(NamedTuple):
    """`changed`: what is new since a sync token. `whole`: everything around now."""

    changed: Callable[[Api, str, str], Fetched]
    whole: Callable[[Api, str, datetime], Fetched]


VENDORS: Mapping[str, Vendor] = {
    "google_calendar": Vendor(google_changed, google_whole),
    "microsoft_graph": Vendor(graph_changed, graph_whole),
}
