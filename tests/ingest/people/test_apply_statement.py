"""Statements about one person from several feeds, applied in any order."""

from datetime import timedelta
from functools import reduce
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.directory import (
    MAX_ADDRESSES,
    MAX_IDENTITIES,
    DirectoryStatement,
    Participant,
    PersonDescription,
    ToolIdentity,
)
from services.ingest.domain.people.participants import apply_statement, is_same, merge_statement, replace_statement
from services.ingest.domain.verdict import Rejected
from tests.ingest.people.building import HR, NOON, employed, participant

Kind = Literal["replaces", "merges", "erases"]
TOOLS = ("slack", "zoom", "xapi")
identities = st.lists(
    st.builds(ToolIdentity, tool=st.sampled_from(TOOLS), id=st.sampled_from(("one", "two"))), max_size=3, unique=True
).map(tuple)
people = st.builds(
    PersonDescription,
    name=st.sampled_from(("Ada", "Ada B")),
    addresses=st.lists(st.sampled_from(("ada@example.com", "a@example.org")), max_size=2, unique=True).map(tuple),
    identities=identities,
    time_zone=st.sampled_from(("UTC", "Europe/Berlin")),
    status=st.sampled_from(("active", "leave", "exited")),
    consent=st.booleans(),
    unsaid=st.sets(st.sampled_from(("time_zone", "consent", "leave"))).map(tuple),
)


def statement(kind: Kind, person: PersonDescription | None, feed: str = "urn:test:hr") -> DirectoryStatement:
    return DirectoryStatement(
        id="p-ada",
        tenant="acme",
        feed=feed,
        kind=kind,
        person=person,
        recordedtime=NOON,
    )


described = st.builds(statement, st.sampled_from(("replaces", "merges")), people)
statements = st.lists(st.one_of(described, described, st.just(statement("erases", None))), max_size=6)


def fold(known: Participant | None, said: list[DirectoryStatement]) -> Participant | None:
    return reduce(one, said, known)


def one(known: Participant | None, said: DirectoryStatement) -> Participant | None:
    found = apply_statement(said, known)
    assert not isinstance(found, Rejected)
    return found


def same(first: Participant | None, second: Participant | None) -> bool:
    return first is second or (first is not None and is_same(first, second))


@given(statements, statements)
def test_what_is_merged_before_and_after_a_restart_is_what_is_merged_at_once(
    before: list[DirectoryStatement], after: list[DirectoryStatement]
) -> None:
    restored = fold(None, before)
    read = Participant.model_validate_json(restored.model_dump_json()) if restored else None

    assert fold(read, after) == fold(None, [*before, *after])


@given(statements, statements)
def test_applying_the_last_statements_again_changes_nothing(
    before: list[DirectoryStatement], again: list[DirectoryStatement]
) -> None:
    whole = fold(None, [*before, *again])

    assert same(fold(whole, again), whole)


@given(statements, people)
def test_identities_are_replaced_only_for_the_tools_that_a_statement_names(
    before: list[DirectoryStatement], said: PersonDescription
) -> None:
    known = fold(None, before)

    found = fold(known, [statement("merges", said)])

    assert found is not None
    named = {identity.tool for identity in said.identities}
    kept = [identity for identity in (known.identities if known else ()) if identity.tool not in named]
    assert [identity for identity in found.identities if identity.tool not in named] == kept
    assert {identity for identity in found.identities if identity.tool in named} == set(said.identities)
    is_on_leave = known is not None and (known.status, said.status) == ("leave", "active") and "leave" in said.unsaid
    assert (found.name, found.status) == (said.name, "leave" if is_on_leave else said.status)
    assert found.addresses == (said.addresses or (known.addresses if known else ()))
    for name in ("time_zone", "consent"):
        spoken = said if known is None or name not in said.unsaid else known
        assert getattr(found, name) == getattr(spoken, name)


@given(statements, people)
def test_what_replaces_leaves_nothing_of_what_was_before(
    before: list[DirectoryStatement], said: PersonDescription
) -> None:
    last = statement("replaces", said)

    assert fold(None, [*before, last]) == fold(None, [last])


@given(statements, statements)
def test_what_comes_after_an_erasure_starts_anew(
    before: list[DirectoryStatement], after: list[DirectoryStatement]
) -> None:
    assert fold(None, [*before, statement("erases", None), *after]) == fold(None, after)


def test_what_is_posted_is_the_person_as_posted() -> None:
    ada = participant("ada")

    assert apply_statement(replace_statement(ada, "api:token"), participant("ada", consent=False)) == ada


def many(tool: str, count: int) -> tuple[ToolIdentity, ...]:
    return tuple(ToolIdentity(tool=tool, id=f"{number}") for number in range(count))


@pytest.mark.parametrize(("more", "fits"), [(MAX_IDENTITIES - 150, True), (MAX_IDENTITIES - 149, False)])
def test_identities_from_several_feeds_are_limited_in_total(more: int, fits: bool) -> None:  # noqa: FBT001
    known = participant("ada", identities=many("slack", 150))
    said = merge_statement(
        employed("ada", "active", identities=tuple(("zoom", f"{number}") for number in range(more))), HR
    )
    assert isinstance(said, DirectoryStatement)

    found = apply_statement(said, known)

    assert isinstance(found, Participant if fits else Rejected)
    if isinstance(found, Rejected):
        assert [fault.path for fault in found.errors] == ["identities"]


@pytest.mark.parametrize(
    ("field", "most"), [("addresses", MAX_ADDRESSES), ("identities", MAX_IDENTITIES)], ids=("addresses", "identities")
)
def test_a_row_names_no_more_than_a_person_may_have(field: str, most: int) -> None:
    def said(count: int) -> DirectoryStatement | Rejected:
        values = [f"{number}@example.com" for number in range(count)]
        named = tuple(("zoom", one) for one in values) if field == "identities" else tuple(values)
        return merge_statement(employed("ada", "active", **{field: named}), HR)

    assert isinstance(said(most), DirectoryStatement)
    refused = said(most + 1)
    assert isinstance(refused, Rejected)
    assert refused.errors[0].path == field


def test_a_statement_is_of_the_connection_that_made_it() -> None:
    said = merge_statement(employed("ada", "leave", unsaid=frozenset({"consent"})), HR)

    assert isinstance(said, DirectoryStatement)
    assert (said.feed, said.kind, said.recordedtime) == ("urn:rapport:acme:hr:hr_feed", "merges", NOON)
    assert said.person is not None
    assert said.person.unsaid == ("consent",)
    assert apply_statement(said, participant("ada", recordedtime=NOON - timedelta(days=1))) != participant("ada")
