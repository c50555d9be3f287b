"""Which of Slack's conversations are those of a relationship: Slack itself tells who writes, never who reads."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.primitives import Id
from services.ingest.domain.tools.said import Person
from services.ingest.sources.reading import Ident
from services.ingest.sources.tool import ToolSettings


class Conversation(BaseModel):
    """Either the relationship itself, or the Slack user ids of its people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relationship: Id | None = None
    people: tuple[Ident, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.relationship) == bool(self.people):
            raise ValueError("needs either relationship or people")
        return self

    @property
    def members(self) -> tuple[Person, ...]:
        return tuple(Person(user) for user in self.people)

    def includes(self, user: str) -> bool:
        return not self.people or user in self.people


class SlackSettings(ToolSettings):
    """`channels`: by Slack's id (C, G or D and more), also of direct messages. `teams`: ids of the workspaces or of the
    enterprise that may speak here; empty means whoever installed the app."""

    channels: Mapping[Ident, Conversation] = Field(default_factory=dict)
    teams: frozenset[Ident] = frozenset()
