"""An embedded ClickHouse with the stack's two users."""

from collections.abc import Iterator

import pytest

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse, User
from deploy.local.clickhouse.users import ReaderScope, Role
from tests.local.login import Login

USERS = (
    User.with_password("rapport", "secret", Role.WRITER),
    User.with_password("reader", "reader", Role.READER),
    User.with_password("analyst", "analyst", Role.READER, ReaderScope.ANALYST),
)

PREPARED = (
    "CREATE DATABASE mentoring",
    "CREATE DATABASE mentoring_mart",
    "CREATE DATABASE mentoring_at",
    "CREATE DATABASE elsewhere",
    "CREATE TABLE mentoring.events (id UInt32, name String) ENGINE = MergeTree ORDER BY id",
    "INSERT INTO mentoring.events VALUES (1, 'a'), (2, 'b')",
    "CREATE VIEW mentoring_mart.events SQL SECURITY DEFINER AS SELECT id FROM mentoring.events",
    (
        "CREATE VIEW mentoring_at.events_up_to SQL SECURITY DEFINER AS "
        "SELECT id FROM mentoring_mart.events WHERE id <= {most:UInt32}"
    ),
    "CREATE TABLE elsewhere.secrets (word String) ENGINE = MergeTree ORDER BY word",
    "INSERT INTO elsewhere.secrets VALUES ('hidden')",
    "CREATE VIEW mentoring.peeping AS SELECT word FROM elsewhere.secrets",
)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    """A server with a writer `rapport` and a `reader`, and the two databases that readers may read."""
    config = ClickHouseConfig(data=tmp_path_factory.mktemp("guarded"), users=USERS)
    with LocalClickHouse(config) as clickhouse:
        rapport = Login(clickhouse.url, "rapport", "secret")
        for statement in PREPARED:
            rapport.lines(statement)
        yield clickhouse


@pytest.fixture
def writer(guarded: LocalClickHouse) -> Login:
    return Login(guarded.url, "rapport", "secret")


@pytest.fixture
def reader(guarded: LocalClickHouse) -> Login:
    return Login(guarded.url, "reader", "reader")


@pytest.fixture
def analyst(guarded: LocalClickHouse) -> Login:
    return Login(guarded.url, "analyst", "analyst")


@pytest.fixture
def table(writer: Login) -> str:
    writer.lines("CREATE OR REPLACE TABLE elsewhere.rows (a UInt64) ENGINE = MergeTree ORDER BY a")
    return "elsewhere.rows"
