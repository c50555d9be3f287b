"""Reloading the connections file at runtime: a valid file is applied, an invalid one changes nothing."""

import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from deploy.local.ports import free_port
from services.ingest.__main__ import main
from services.ingest.flow.connections_reload import PATH
from services.ingest.sources.connections import ConnectionsError, ConnectionsFile, load_connections
from services.ingest.sources.tool import Connection
from services.runtime.settings import Settings
from tests import plain_http
from tests.ingest.conftest import DIGEST_KEY, Gateway, make_token, running_gateway
from tests.ingest.signing import SECRET as NEW_SECRET
from tests.ingest.signing import headers_of
from tests.ingest.tooling import connections_file, meeting_id, post_zoom, url, zoom
from tests.receiver import eventually


def change(file: Path, **changed: object) -> None:
    """Adds or changes one connection; its secret lies beside the file."""
    given = yaml.safe_load(file.read_text())
    name = str(changed["id"])
    (file.parent / name).write_text(NEW_SECRET)
    others = [one for one in given["connections"] if one["id"] != name]
    file.write_text(yaml.safe_dump({"connections": [*others, {"tenant": "acme", "secret_file": name} | changed]}))


def reload_of(gateway: Gateway, **changed: str | None) -> Result:
    environment = {
        "RAPPORT_INGEST_CONNECTIONS": str(gateway.settings.ingest_connections),
        "RAPPORT_INGEST_DIGEST_KEY": DIGEST_KEY,
        "RAPPORT_INGEST_HEALTH_PORT": str(gateway.settings.ingest_health_port),
    }
    return CliRunner().invoke(main, ["connections", "reload"], env=environment | changed)


def test_a_change_is_loaded_by_the_gateway_and_the_worker(broker: Settings, tmp_path: Path) -> None:
    file = connections_file(tmp_path)
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file) as gateway:
        # 1. A tool that nobody has used here so far, and a new secret of an account that is known.
        change(file, id="calendly_acme", tool="calendly")
        change(file, id="zoom_acme", tool="zoom")
        before = post_zoom(gateway, zoom("started", meeting_id()), "zoom_acme")

        taken_up = reload_of(gateway)
        unknown = plain_http.post(url(gateway, "calendly", "nobody"), content=b"{}")
        forged = plain_http.post(url(gateway, "calendly", "calendly_acme"), content=b"{}")
        old, new = (post_zoom(gateway, zoom("started", meeting_id()), "zoom_acme", s) for s in (None, NEW_SECRET))

        assert before.status_code == 200
        assert taken_up.exit_code == 0, taken_up.output
        assert "calendly/calendly_acme: tenant acme, every programme, secret set\n" in taken_up.output
        assert taken_up.stdout.endswith("taken up by 1 processes: 5 connections\n")
        assert (unknown.status_code, forged.status_code) == (401, 401)
        assert (old.status_code, new.status_code) == (401, 200)

        # 2. What the new tool says is read by the worker, which knows whose it is.
        body = b'{"event": "routing_form_submission.created", "created_at": "2026-03-01T10:00:00Z", "payload": {}}'
        sent = plain_http.post(
            url(gateway, "calendly", "calendly_acme"), content=body, headers=headers_of("calendly", body)
        )
        health = f"http://127.0.0.1:{gateway.settings.ingest_health_port}/metrics"

        assert sent.status_code == 202, sent.text
        eventually(
            lambda: 'outcome="ignored:event_not_used",place="log",tool="calendly"' in plain_http.get(health).text
        )

        # 3. A file that is at fault is refused with place and reason, and what was there goes on.
        good = file.read_text()
        change(file, id="zoom_acme", tool="tea")
        refused = reload_of(gateway)
        still = post_zoom(gateway, zoom("started", meeting_id()), "zoom_acme", NEW_SECRET)
        file.write_text("connections: [")
        broken = reload_of(gateway)
        file.write_text(good)
        mended = reload_of(gateway)

        assert refused.exit_code == broken.exit_code == 1
        assert f": {file}: connections.4.tool: there is no tool 'tea'" in refused.output
        assert "line 1, column 15" in broken.output
        assert still.status_code == 200
        assert mended.exit_code == 0, mended.output


def test_a_reload_needs_the_key_and_reports_what_is_missing(broker: Settings, tmp_path: Path) -> None:
    file = connections_file(tmp_path)
    with running_gateway(broker.kafka, make_token(broker), ingest_connections=file) as gateway:
        address = f"127.0.0.1:{gateway.settings.ingest_health_port}"

        unproven = plain_http.post(f"http://{address}{PATH}")
        other_key = reload_of(gateway, RAPPORT_INGEST_DIGEST_KEY="another key, long enough")
        unset = reload_of(gateway, RAPPORT_INGEST_CONNECTIONS=None)
        nobody = reload_of(gateway, RAPPORT_INGEST_HEALTH_PORT="0")
        away = reload_of(gateway, RAPPORT_INGEST_RELOAD=f"127.0.0.1:{free_port(set())},{address}")
        all_asked = reload_of(gateway, RAPPORT_INGEST_RELOAD=f"{address}, {address}")

        assert unproven.status_code == 401
        assert f"{address}: it has another RAPPORT_INGEST_DIGEST_KEY" in other_key.output
        assert "RAPPORT_INGEST_CONNECTIONS is not set" in unset.output
        assert "no process to ask: set RAPPORT_INGEST_RELOAD" in nobody.output
        assert "does not answer" in away.output
        assert "taken up by 2 processes: 4 connections" in all_asked.output
        assert [one.exit_code for one in (other_key, unset, nobody, away, all_asked)] == [1, 1, 1, 1, 0]


# What follows needs no broker.


def loading(folder: Path) -> tuple[Path, Callable[[], Mapping[str, Connection]]]:
    file = connections_file(folder)
    return file, partial(load_connections, file, os.environ, DIGEST_KEY)


def test_a_change_is_loaded_after_two_equal_polls(tmp_path: Path) -> None:
    file, load = loading(tmp_path)
    known = ConnectionsFile(file, load(), load)
    change(file, id="later", tool="zoom")

    known.poll()
    once = "later" in known
    known.poll()

    assert (once, "later" in known, len(known), set(known) >= {"zoom_acme"}) == (False, True, 5, True)


def test_a_changed_secret_alone_is_loaded(tmp_path: Path) -> None:
    file, load = loading(tmp_path)
    known = ConnectionsFile(file, load(), load)

    (tmp_path / "zoom_acme").write_text(NEW_SECRET)
    known.poll()
    known.poll()

    assert known["zoom_acme"].secret == NEW_SECRET


def test_a_fault_is_logged_once_and_cleared_when_it_is_corrected(tmp_path: Path) -> None:
    file, load = loading(tmp_path)
    known = ConnectionsFile(file, load(), load)
    change(file, id="later", tool="zoom")
    (tmp_path / "later").unlink()

    with capture_logs() as told:
        for _ in range(5):
            known.poll()
        at_fault = set(known)
        (tmp_path / "later").write_text(NEW_SECRET)
        known.poll()

    assert "later" not in at_fault
    assert "later" in known
    assert [(one["event"], one.get("reason", "").partition(": ")[2]) for one in told] == [
        ("connections_at_fault", "connections.4.secret: later cannot be read: No such file or directory"),
        ("connections_changed", ""),
    ]


def test_a_file_that_is_away_changes_nothing(tmp_path: Path) -> None:
    file, load = loading(tmp_path)
    known = ConnectionsFile(file, load(), load)
    shutil.move(file, tmp_path / "aside")

    with pytest.raises(ConnectionsError, match="No such file"):
        known.reload()

    assert len(known) == 4


def test_a_worker_looks_once_more_before_it_calls_a_connection_unknown(tmp_path: Path) -> None:
    file, load = loading(tmp_path)
    worker, gateway = (ConnectionsFile(file, load(), load, reload_on_miss=one) for one in (True, False))
    change(file, id="later", tool="zoom")

    assert worker.get("later") is not None
    assert worker.get("nobody") is None
    assert gateway.get("later") is None
