"""The data of the event that a statement becomes."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.ingest.domain.tools.derived import digest
from services.ingest.domain.tools.said import Statement as Heading
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.scale import MEASURED
from services.ingest.sources.vocabulary import as_id, members
from services.ingest.sources.xapi.result import score_data, session_data
from services.ingest.sources.xapi.settings import Meaning, XapiSettings
from services.ingest.sources.xapi.statement import STATEMENT_REF, Result, Target


@dataclass(frozen=True)
class Deed:
    """What was done, to what, with which result; `heading` is its id and its time. `is_public`: in a course or a forum
    of which the settings say nothing."""

    heading: Heading
    target: Target
    result: Result
    is_public: bool = False


def data_of(deed: Deed, meaning: Meaning, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    """What is fixed in the settings stays as it is."""
    measured = _measured(deed, meaning.type, settings)
    if isinstance(measured, Rejected):
        return measured
    wanted = members(meaning.type)
    ids = {"session_id": _session(deed), "goal_id": as_id(deed.target.id or deed.heading.key)}
    ids |= {"request_id": as_id(deed.heading.key), **_answered(deed.target)}
    return {**{name: value for name, value in ids.items() if name in wanted}, **measured, **meaning.data}


def _measured(deed: Deed, name: str, settings: XapiSettings) -> Mapping[str, object] | Rejected:
    if name == "mentoring.session.held.v1":
        return session_data(deed.result, deed.heading.time, settings)
    if name in MEASURED:
        return score_data(name, deed.result, settings)
    return {}


def _session(deed: Deed) -> str:
    """What several say of one activity on one day is one session. What was done to people is one of its own."""
    if deed.target.objectType in {"", "Activity"} and deed.target.id:
        return digest("activity", deed.target.id, deed.heading.time.date().isoformat())
    return digest("statement", deed.heading.key)


def _answered(target: Target) -> Mapping[str, str]:
    """A message about a statement answers it, named by its key."""
    return {"reply_to": target.id.lower()} if target.objectType == STATEMENT_REF and target.id else {}
