import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from schemas.events import MENTORING_EVENT, ProfileSet
from schemas.primitives import to_rfc3339
from schemas.programs import Programme
from schemas.topics import EVENTS, PROGRAMS
from services.ingest.__main__ import main
from services.ingest.console import write
from services.runtime.kafka import create_topics, partition_count, read_to_end
from services.runtime.settings import Settings
from tests.ingest.conftest import SOURCE, Gateway, Log, event
from tests.receiver import eventually
from tests.schemas.golden import example, value


@pytest.fixture(autouse=True)
def environment(broker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", broker.kafka)


def rapport(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_created_token_opens_the_gateway_and_a_revoked_one_does_not(gateway: Gateway) -> None:
    name = f"t{uuid4().hex}"

    created = rapport(
        "token", "create", "--tenant", "acme", "--source", SOURCE, "--program", "onboarding", "--id", name
    )

    assert created.exit_code == 0, created.output
    secret = created.stdout.strip()
    assert secret.startswith(f"rpt_{name}_")
    bearer = {"authorization": f"Bearer {secret}"}
    eventually(lambda: gateway.post(event(), **bearer).status_code == 202)
    listed = rapport("token", "list").output
    assert f"{name}  acme" in listed
    assert secret not in listed
    assert rapport("token", "revoke", name).exit_code == 0
    eventually(lambda: gateway.post(event(), **bearer).status_code == 401)
    assert "revoked" in next(line for line in rapport("token", "list").stdout.splitlines() if name in line)


def test_a_token_without_a_name_gets_one() -> None:
    assert rapport("token", "create", "--tenant", "acme", "--source", SOURCE).stdout.startswith("rpt_t")


def test_an_invalid_token_command_is_refused_with_a_reason() -> None:
    invalid = rapport("token", "create", "--tenant", "a b", "--source", SOURCE)
    named = ("token", "create", "--tenant", "acme", "--source", SOURCE, "--id", f"t{uuid4().hex}")
    rapport(*named)

    assert (invalid.exit_code, "tenant: " in invalid.output) == (1, True)
    assert "there is a token" in rapport(*named).output
    assert "there is no token 'nobody'" in rapport("token", "revoke", "nobody").output


def test_programmes_are_applied_once(broker: Settings, tmp_path: Path) -> None:
    file, ident = tmp_path / "programs.yaml", uuid4().hex
    file.write_text(
        f"id: {ident}\ntenant: acme\nholidays: [2026-12-25]\n---\n- {{id: {ident}-2, tenant: acme, region: emea}}\n"
    )
    log = Log(broker, PROGRAMS.name)

    first, second = rapport("programs", "apply", str(file)), rapport("programs", "apply", str(file))

    assert first.exit_code == 0, first.output
    assert said_of_programmes(first) == [f"acme/{ident}: applied", f"acme/{ident}-2: applied"]
    assert said_of_programmes(second) == [f"acme/{ident}: unchanged", f"acme/{ident}-2: unchanged"]
    records = log.records()
    assert [record.key for record in records] == [f"acme/{ident}".encode(), f"acme/{ident}-2".encode()]
    assert Programme.model_validate_json(records[0].value or b"").holidays[0].month == 12
    assert profiles_on_log(broker, ident) == dict.fromkeys(range(partition_count(broker, EVENTS.name)), 1)


def test_the_upgrade_writes_the_profiles_of_all_programmes_to_every_partition_of_the_log(
    broker: Settings, tmp_path: Path
) -> None:
    file, ident = tmp_path / "programs.yaml", uuid4().hex
    file.write_text(f"id: {ident}\ntenant: acme\nprofiles: [{{version: own, cadence_days: 7}}]\n")
    rapport("programs", "apply", str(file))

    upgraded = rapport("programs", "upgrade")

    assert upgraded.exit_code == 0, upgraded.output
    assert upgraded.stdout.endswith(" programmes are on the log\n")
    found = [event for event, _ in on_log(broker, ident)]
    assert {(event.source, event.data.profiles[0].version) for event in found} == {("urn:rapport:programs", "own")}
    assert set(profiles_on_log(broker, ident).values()) == {2}


def said_of_programmes(result: Result) -> list[str]:
    """A projector of another test, in this process, may say at the same time that it has read them."""
    return [line for line in result.stdout.splitlines() if line.startswith("acme/")]


def on_log(broker: Settings, ident: str) -> Iterator[tuple[ProfileSet, int]]:
    for record in read_to_end(broker, [EVENTS.name]):
        if ident.encode() in (record.value or b""):
            event = MENTORING_EVENT.validate_json(record.value or b"")
            if isinstance(event, ProfileSet) and event.program == ident:
                yield event, record.partition


def profiles_on_log(broker: Settings, ident: str) -> Mapping[int, int]:
    """How many of the programme are on each partition."""
    return Counter(partition for _, partition in on_log(broker, ident))


def test_a_faulty_programme_keeps_all_others_back(broker: Settings, tmp_path: Path) -> None:
    file = tmp_path / "programs.yaml"
    file.write_text(
        """
- {id: good, tenant: acme}
- {id: bad, tenant: acme, profiles: [{version: v1, weights: {rhythm: lots}}]}
- {id: good, tenant: acme}
- text
"""
    )
    log = Log(broker, PROGRAMS.name)

    result = rapport("programs", "apply", str(file))

    assert result.exit_code == 1
    assert "record 2: profiles.0.weights.rhythm: Input should be a valid number" in result.output
    assert "record 3 (acme/good): id: this programme is in the file twice" in result.output
    assert "record 4: the record: a programme is a mapping" in result.output
    assert log.growth() == 0


def test_the_past_of_a_programme_cannot_be_changed(tmp_path: Path) -> None:
    file, ident = tmp_path / "program.json", uuid4().hex
    first = {"version": "v1", "cadence_days": 14}
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    def applied(*profiles: dict[str, object]) -> Result:
        file.write_text(json.dumps({"id": ident, "tenant": "acme", "profiles": profiles}))
        return rapport("programs", "apply", str(file))

    assert applied(first).exit_code == 0
    assert applied(first, {"version": "v2", "effective_from": tomorrow}).exit_code == 0
    changed = applied({"version": "v1", "cadence_days": 7})
    hasty = applied(first, {"version": "v3", "effective_from": datetime.now(UTC).isoformat()})
    assert "version 'v1' is in force or about to be" in changed.output
    assert "profiles.1.effective_from: a new version must begin at least 1 hour from now" in hasty.output
    assert (changed.exit_code, hasty.exit_code) == (1, 1)


def test_a_new_programme_says_what_becomes_of_scores_that_are_out(tmp_path: Path) -> None:
    file, ident = tmp_path / "program.json", uuid4().hex
    file.write_text(json.dumps({"id": ident, "tenant": "acme", "profiles": [{"version": "own"}]}))

    result = rapport("programs", "apply", str(file))

    assert result.exit_code == 0
    assert f"acme/{ident}: applied; scores of it that are out already were made by the defaults" in result.output


def test_on_the_logs_clock_a_version_begins_after_the_end_of_the_log(
    broker: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events, file, ident = EVENTS.at(7), tmp_path / "program.json", uuid4().hex
    create_topics(broker, {events: {"num_partitions": 2, "replication_factor": 1, "configs": {}}})
    monkeypatch.setenv("RAPPORT_CLOCK", "log")
    monkeypatch.setenv("RAPPORT_LOG_EPOCH", "7")

    def applied(*begins: str) -> Result:
        profiles = [{"version": f"v{i}", "effective_from": begin} for i, begin in enumerate(begins)]
        file.write_text(json.dumps({"id": ident, "tenant": "acme", "profiles": [{"version": "first"}, *profiles]}))
        return rapport("programs", "apply", str(file))

    on_empty_log = applied("2025-01-01T00:00:00Z")
    write(broker, events, {"b": b"{broken", example("session.held.v1")["partitionkey"]: value("session.held.v1")})
    recorded = datetime.fromisoformat(example("session.held.v1")["recordedtime"])
    hasty = applied("2025-01-01T00:00:00Z", (recorded + timedelta(minutes=59)).isoformat())
    in_time = applied("2025-01-01T00:00:00Z", (recorded + timedelta(hours=1)).isoformat())

    assert (on_empty_log.exit_code, hasty.exit_code, in_time.exit_code) == (0, 1, 0)
    assert f"from the end of the log, at {to_rfc3339(recorded + timedelta(hours=1))} or later" in hasty.output


def test_a_programme_that_cannot_be_read_is_named_and_can_be_applied_again(broker: Settings, tmp_path: Path) -> None:
    file, ident = tmp_path / "program.json", uuid4().hex
    file.write_text(json.dumps({"id": ident, "tenant": "acme"}))
    rapport("programs", "apply", str(file))
    write(broker, PROGRAMS.name, {f"acme/{ident}": b'{"id": "p", "colour": "green"}'})

    again, later = rapport("programs", "apply", str(file)), rapport("programs", "apply", str(file))

    assert f"holds a record of acme/{ident} that cannot be read: offset " in again.output
    assert f"acme/{ident}: applied" in again.output
    assert later.stdout == f"acme/{ident}: unchanged\n"


@pytest.mark.parametrize("text", ["{", "a: 1\na: 2\n", "", "\xff"])
def test_a_file_that_is_no_list_of_programmes_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "programs.yaml"
    file.write_text(text, encoding="latin-1")

    result = rapport("programs", "apply", str(file))

    assert result.exit_code == 1
    assert str(file) in result.output


def test_settings_are_checked_without_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_INGEST_TOKEN", "rpt_secret")

    good = rapport("serve", "--check")
    monkeypatch.setenv("RAPPORT_INGEST_PORT", "none")
    bad = rapport("serve", "--check")

    assert (good.exit_code, "rpt_secret" in good.output) == (0, False)
    assert (bad.exit_code, "RAPPORT_INGEST_PORT: " in bad.output) == (2, True)
    assert rapport("token", "list").exit_code == 1
