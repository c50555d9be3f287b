"""The table of tokens, and tokens that cannot be read."""

import json
import threading
from datetime import UTC, datetime

from structlog.testing import capture_logs

from schemas.tokens import Token, authenticate, hashed, secret_of
from schemas.topics import TOKENS
from services.ingest.flow.tokens import TokenFollower, TokenTable
from services.runtime.health import Health
from services.runtime.kafka import Record, open_reader
from services.runtime.settings import Settings
from tests.ingest.conftest import make_token
from tests.receiver import eventually

SECRET = secret_of(Token, "a", "00")
TOKEN = Token(token_id="a", tenant="acme", sha256=hashed(SECRET), sources=("urn:a",), created=datetime.now(UTC))


def table(*values: bytes | None) -> TokenTable:
    told = TokenTable()
    for offset, value in enumerate(values):
        told.apply(Record(TOKENS.name, 0, offset, b"a", value, (), 0))
    return told


def test_the_last_record_of_a_token_counts() -> None:
    saved = TOKEN.model_dump_json().encode()

    assert authenticate(SECRET, table(saved).tokens) == TOKEN
    assert authenticate(SECRET, table(saved, None).tokens) is None
    assert authenticate(SECRET, table(None, saved).tokens) == TOKEN


def test_an_unreadable_token_grants_nothing_and_affects_no_other() -> None:
    saved = TOKEN.model_dump_json().encode()

    assert authenticate(SECRET, table(saved, b"no token").tokens) is None
    assert authenticate(SECRET, table(b"no token", saved).tokens) == TOKEN


def test_what_is_logged_of_an_unreadable_token_holds_nothing_of_it() -> None:
    broken = TOKEN.model_dump(mode="json") | {"tenant": "dear diary", "a note": "to myself"}

    with capture_logs() as lines:
        table(json.dumps(broken).encode())

    (line,) = lines
    assert (line["event"], line["token"], line["offset"]) == ("token_unreadable", "a", 0)
    assert line["places"] == ["tenant: string_pattern_mismatch", "?: extra_forbidden"]


def test_relationships_are_wanted_as_soon_as_a_token_of_a_programme_is_there(broker: Settings) -> None:
    stop, wanted, found = threading.Event(), threading.Event(), TokenTable()
    with open_reader(broker, [TOKENS.name]) as reader:
        for partition, end in reader.end_offsets(sorted(reader.assignment())).items():
            reader.seek(partition, end)
        follower = threading.Thread(target=TokenFollower(reader, found, Health(), wanted).run, args=(stop,))
        follower.start()
        try:
            whole = make_token(broker)
            eventually(lambda: authenticate(whole, found.tokens) is not None)
            before = wanted.is_set()
            make_token(broker, programs=("a",))

            assert wanted.wait(10)
            assert not before
        finally:
            stop.set()
            follower.join(10)
