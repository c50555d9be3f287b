"""How one HR system names its columns, its statuses and its days."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.directory import TimeZone
from schemas.primitives import Code
from services.ingest.domain.written import visible
from services.ingest.sources.hr.columns import COLUMNS, plain
from services.ingest.sources.tool import ToolSettings

Status = Literal["active", "leave", "exited"]
# "Inactive" is a leave to some systems and an exit to others, and "T" may be true or terminated: what would end
# relationships is not guessed.
STATUSES: Mapping[str, Status] = {
    **dict.fromkeys(("active", "employed", "current", "enabled", "true", "a", "hired", "rehired"), "active"),
    **dict.fromkeys(("leave", "on leave", "leave of absence", "loa", "absent", "parental leave"), "leave"),
    **dict.fromkeys(("maternity leave", "paternity leave", "medical leave", "sabbatical"), "leave"),
    **dict.fromkeys(("terminated", "exited", "left", "resigned", "retired", "dismissed", "deceased"), "exited"),
    **dict.fromkeys(("former", "ex-employee", "separated", "false"), "exited"),
}
# Of a column that asks whether somebody is active: how databases and forms write yes. The letters that they write for
# no stand for other things elsewhere, so that only settings can make an exit of them.
YES = frozenset({"true", "t", "yes", "y", "1", "on"})
ACTIVE = re.compile(r"(?<!in)active")
ISO = "%Y-%m-%d"
Name = Annotated[str, Field(min_length=1, max_length=100)]


def _readable(form: str) -> str:
    """A form that cannot read what it has written names no day."""
    for day in (date(2026, 2, 3), date(1999, 12, 31)):
        if datetime.strptime(day.strftime(form), form).date() != day:  # noqa: DTZ007 (a day has no zone)
            raise ValueError("must be a form of days as in %d.%m.%Y")
    return form


class HrSettings(ToolSettings):
    """`columns` names ours (see columns.py) where the usual names do not fit. `statuses` adds to ours. Days are
    ISO 8601 or `day_format`. `identities`: the column that holds who somebody is in another tool. `time_zone` and
    `consent` are those of rows without."""

    columns: Mapping[str, Name | tuple[Name, ...]] = Field(default_factory=dict)
    statuses: Mapping[Name, Status] = Field(default_factory=dict)
    identities: Mapping[Code, Name] = Field(default_factory=dict)
    day_format: Annotated[str, AfterValidator(_readable)] = ISO
    time_zone: TimeZone = "UTC"
    consent: bool = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        if unknown := sorted(self.columns.keys() - COLUMNS.keys()):
            raise ValueError(f"columns.{unknown[0]} is none of ours: {', '.join(COLUMNS)}")
        return self

    def names(self, column: str) -> tuple[str, ...]:
        """Plain, in order of preference."""
        given = self.columns.get(column, COLUMNS[column])
        return tuple(map(plain, (given,) if isinstance(given, str) else given))

    @cached_property
    def columns_read(self) -> frozenset[str]:
        """All columns that are read, by their plain names. Whatever else stands in a record is nobody's business."""
        known = (name for column in COLUMNS for name in self.names(column))
        return frozenset((*known, *map(plain, self.identities.values())))

    def status(self, text: str, column: str = "") -> Status | None:
        """`column` is the name of the column where it stands."""
        written = visible(text).casefold()
        folded = " ".join(written.replace("_", " ").split())
        given = {visible(name).casefold(): status for name, status in self.statuses.items()}
        found = given.get(written) or given.get(folded)
        if not found and folded in YES and ACTIVE.search(plain(column)):
            return "active"
        return found or STATUSES.get(folded)
