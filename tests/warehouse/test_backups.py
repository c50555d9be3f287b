"""A backup that is restored into an empty server, and the log read on from where it was taken."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.warehouse.domain.migration import ONE_SERVER
from services.warehouse.flow.backups import BackupError, back_up, restore, set_back
from services.warehouse.flow.migrator import migrate
from tests.warehouse.conftest import Warehouse
from tests.warehouse.samples import NOON, changed, held, row

HOUR = timedelta(hours=1)
DATABASES = ("mentoring", "mentoring_mart", "mentoring_at")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    """One that may be emptied: whoever does restores it."""
    with LocalClickHouse(ClickHouseConfig(tmp_path_factory.mktemp("own"))) as found:
        with closing(ClickHouse(Settings(clickhouse=found.url))) as clickhouse:
            migrate(clickhouse, ONE_SERVER, lambda _: None)
        yield found


@pytest.fixture
def own(warehouse: Warehouse, server: LocalClickHouse) -> Iterator[Warehouse]:
    settings = warehouse.settings.model_copy(update={"clickhouse": server.url})
    with closing(ClickHouse(settings)) as clickhouse:
        yield Warehouse(settings, warehouse.feed, clickhouse, warehouse.producer, warehouse.asker)


def quiet(_: str) -> None:
    """Progress is of no interest here."""


def test_after_a_restore_the_service_continues_from_the_backup_and_every_row_exists_once(own: Warehouse) -> None:
    own.write("events", *(held(NOON + n * HOUR, tenant=own.tenant) for n in range(10)))
    own.store_all()
    back_up(own.settings, own.feed, "nightly", quiet)
    own.write("events", *(held(NOON + n * HOUR, tenant=own.tenant) for n in range(10, 15)))
    own.write("scores", changed(row(), tenant=own.tenant))
    own.store_all()
    for database in DATABASES:
        own.clickhouse.command(f"DROP DATABASE {database}")

    restore(own.settings, own.feed, "nightly", quiet)
    assert own.count("mentoring.events") == 10
    own.store_all()

    assert own.count("mentoring.events") == 15
    assert own.count("mentoring.score_history") == 1
    own.recompute()
    assert own.ask("SELECT sum(sessions) FROM mentoring_mart.program_day WHERE tenant_id = {tenant}") == [(15,)]


def test_nothing_is_restored_over_tables_or_beside_a_running_service(own: Warehouse) -> None:
    own.write("events", held(tenant=own.tenant))
    with own.running(derived=own.never_due()) as running:
        running.until(own.is_committed, "the commit")
        back_up(own.settings, own.feed, "one", quiet)
        with pytest.raises(BackupError, match="stop `rapport warehouse serve` first"):
            set_back(own.settings, own.feed, "one")

    with pytest.raises(BackupError, match="drop the databases"):
        restore(own.settings, own.feed, "one", quiet)
    with pytest.raises(BackupError, match="no offsets of a backup 'two'"):
        set_back(own.settings, own.feed, "two")
    with pytest.raises(BackupError, match="letters, digits"):
        back_up(own.settings, own.feed, "one') SETTINGS x = ('", quiet)


def test_an_existing_backup_is_explained(own: Warehouse) -> None:
    back_up(own.settings, own.feed, "twice", quiet)

    with pytest.raises(BackupError, match="already exists"):
        back_up(own.settings, own.feed, "twice", quiet)
