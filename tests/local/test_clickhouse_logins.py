"""Passwords of the embedded server: how they are stored, read, and how guesses are slowed."""

import base64
import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local.clickhouse import LocalClickHouse, User
from deploy.local.clickhouse.login_delays import LONGEST_SECONDS, MAX_REMEMBERED, LoginDelays
from deploy.local.clickhouse.users import Role, load_users, matches, save_users
from tests import plain_http
from tests.local.login import Login, code_of


def test_a_password_is_kept_salted_and_slow(tmp_path: Path) -> None:
    users = [
        User.with_password("one", "the-password", Role.READER),
        User.with_password("two", "the-password", Role.READER),
    ]
    save_users(tuple(users), tmp_path / "users.json")

    kept = (tmp_path / "users.json").read_text()
    loaded = load_users(tmp_path / "users.json")

    assert "the-password" not in kept
    assert hashlib.sha256(b"the-password").hexdigest() not in kept
    assert loaded["one"].password != loaded["two"].password
    assert loaded["one"].password.startswith("scrypt$")
    assert matches(loaded["one"].password, "the-password")
    assert not matches(loaded["one"].password, "the-passwore")
    assert (tmp_path / "users.json").stat().st_mode & 0o077 == 0


def test_a_users_file_of_an_earlier_build_is_read(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"old").hexdigest()
    (tmp_path / "users.json").write_text(json.dumps([{"name": "x", "password_sha256": digest, "role": "reader"}]))

    user = load_users(tmp_path / "users.json")["x"]

    assert (user.role, matches(user.password, "old"), matches(user.password, "new")) == (Role.READER, True, False)


NO_UTF8 = base64.b64encode(b"reader:\xff\xfe").decode()


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": f"Basic {NO_UTF8}"}, ""),
        ({"Authorization": "Basic not-base64!"}, ""),
        ({"Authorization": b"Basic \xff\xff"}, ""),
        ({"X-ClickHouse-User": b"\xff\xfe", "X-ClickHouse-Key": "reader"}, ""),
        ({"X-ClickHouse-User": "reader", "X-ClickHouse-Key": b"\xff\xfe"}, ""),
        ({}, "user=%ff%fe&password=reader"),
        ({}, "user=reader&password=%ff"),
        ({}, "user=reader&password=" + "x" * 2000),
        ({}, "user=read%00er&password=reader"),
    ],
)
def test_a_login_that_cannot_be_read_is_none(guarded: LocalClickHouse, headers: dict[str, str], query: str) -> None:
    answer = plain_http.post(f"{guarded.url}/?{query}", content=b"SELECT 1", headers=headers, trust_env=False)

    assert (answer.status_code, code_of(answer)) == (401, 516), answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_guesses_wait_longer_and_longer_and_who_has_logged_in_does_not(guarded: LocalClickHouse) -> None:
    reader = Login(guarded.url, "reader", "reader")
    reader.lines("SELECT 1")
    guess = Login(guarded.url, "reader", "wrong")

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        guessing = [pool.submit(guess.ask, "SELECT 1") for _ in range(4)]
        working = [_seconds(reader) for _ in range(5)]
        refused = [code_of(one.result()) for one in guessing]
    slowed = time.monotonic() - began
    last = _seconds(guess)

    assert refused == [516] * 4
    assert slowed > 0.4
    assert last > 1.0
    assert sorted(working)[2] < slowed


def test_a_name_that_is_not_there_is_refused_like_one_that_is(guarded: LocalClickHouse) -> None:
    there, missing = (Login(guarded.url, name, "wrong") for name in ("rapport", "nobody-of-that-name"))

    answers = [(one.ask("SELECT 1"), one.name) for one in (there, missing)]

    assert {(answer.status_code, answer.text.replace(name, "?")) for answer, name in answers} == {
        (answers[0][0].status_code, answers[0][0].text.replace("rapport", "?"))
    }


def test_delays_grow_to_a_bound_and_are_forgotten_in_time() -> None:
    delays = LoginDelays()

    waits = [delays.failed("::1", "a", now=float(second)) for second in range(10)]
    later = delays.failed("::1", "a", now=10_000.0)

    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(waits) == LONGEST_SECONDS
    assert later == 0.1


def test_one_address_is_slowed_whatever_names_it_tries_and_memory_stays_bounded() -> None:
    delays = LoginDelays()

    waits = [delays.failed("10.0.0.1", f"name-{n}", now=0.0) for n in range(3 * MAX_REMEMBERED)]

    assert waits[0] == 0.1
    assert waits[-1] == LONGEST_SECONDS
    assert delays.wait_before("10.0.0.2", "name-1", now=0.0) == 0.0
    assert len(delays) == MAX_REMEMBERED


def _seconds(login: Login) -> float:
    began = time.monotonic()
    login.ask("SELECT 1")
    return time.monotonic() - began
