"""Every model that is carried by a topic, by the name of its JSON Schema and its golden example."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from schemas.alert_commands import AlertCommand, AlertSilence
from schemas.alerts import AlertEvent, Delivery
from schemas.directory import DirectoryStatement, Participant
from schemas.events import CloudEvent, MentoringEvent, type_of
from schemas.programs import Programme, SourceWatermark
from schemas.rule_sets import RuleEvent
from schemas.scores import ScoreEvent
from schemas.sync_tokens import SyncToken
from schemas.tokens import BoardToken, Token

PREFIX = "mentoring."
UNIONS: Mapping[str, Any] = {
    "MentoringEvent": MentoringEvent,
    "ScoreEvent": ScoreEvent,
    "AlertEvent": AlertEvent,
    "RuleEvent": RuleEvent,
}
RECORDS: tuple[type[BaseModel], ...] = (
    Participant,
    DirectoryStatement,
    Programme,
    Token,
    BoardToken,
    SyncToken,
    Delivery,
    AlertCommand,
    AlertSilence,
    SourceWatermark,
)


def models() -> Mapping[str, type[BaseModel]]:
    """Return the models by name: `session.held.v1` for an event, `participant` for a record."""
    events = {name: model for union in UNIONS.values() for name, model in _of(union).items()}
    return events | {model.__name__.lower(): model for model in RECORDS}


def carried(payload: str) -> tuple[str, ...]:
    """Return the names of the models that a topic of this payload carries; empty for bytes without a schema."""
    if payload in UNIONS:
        return tuple(_of(UNIONS[payload]))
    return tuple(model.__name__.lower() for model in RECORDS if model.__name__ == payload)


def is_event(model: type[BaseModel]) -> bool:
    return issubclass(model, CloudEvent)


def _of(union: object) -> Mapping[str, type[CloudEvent[Any, Any]]]:
    return {type_of(model).removeprefix(PREFIX): model for model in get_args(union)}
