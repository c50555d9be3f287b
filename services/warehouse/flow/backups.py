"""Backup and restore of all databases by ClickHouse itself, with the committed offsets of the service's group."""

import re
import time
from collections.abc import Callable
from contextlib import closing

from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Committed, Partition, Reader
from services.warehouse.domain.migration import Topology
from services.warehouse.domain.target import Feed
from services.warehouse.settings import WarehouseSettings

DATABASES = "DATABASE mentoring, DATABASE mentoring_mart, DATABASE mentoring_at"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
OFFSETS = ("name", "topic", "log_partition", "log_offset")
POLL_SECONDS = 0.5
# A stopped member with an instance name stays in its group until its session expires (10 s).
MEMBER_GONE_SECONDS = 15.0
Report = Callable[[str], None]


class BackupError(Exception):
    """The message says why, and what to do."""


def back_up(settings: WarehouseSettings, feed: Feed, name: str, report: Report) -> None:
    """The service may keep running. Raises BackupError, ClickHouseError and KafkaError."""
    destination = _destination(settings, name)
    with closing(ClickHouse(settings)) as clickhouse, closing(Reader(settings, feed.group)) as reader:
        # 1. The offsets come first: rows stored meanwhile are stored again after a restore, and none is missing.
        found = {p: reader.committed(p) for p in reader.assign(sorted(feed.targets))}
        rows = [(name, p.topic, p.number, one.offset if one else 0) for p, one in sorted(found.items())]
        clickhouse.insert("mentoring.backup_offsets", OFFSETS, rows, {"async_insert": 0})
        # 2. The databases.
        on = Topology(settings.warehouse_cluster).fill("{on_cluster}")
        _run(clickhouse, f"BACKUP {DATABASES} {on} TO {destination} ASYNC", report)


def restore(settings: WarehouseSettings, feed: Feed, name: str, report: Report) -> None:
    """Restore into a server without our databases while the service is stopped. If it is interrupted after the
    databases, `set_back` completes it. Raises BackupError, ClickHouseError and KafkaError."""
    destination = _destination(settings, name)
    with closing(ClickHouse(settings)) as clickhouse, closing(Reader(settings, feed.group)) as reader:
        # 1. Refuse to restore over existing databases, or while the service runs.
        _check_stopped(reader, feed)
        [(tables,)] = clickhouse.query("SELECT count() FROM system.tables WHERE database = 'mentoring'")
        if tables:
            raise BackupError(
                "there are tables in `mentoring`: drop the databases mentoring, mentoring_mart and mentoring_at first"
            )
        # 2. The databases.
        on = Topology(settings.warehouse_cluster).fill("{on_cluster}")
        _run(clickhouse, f"RESTORE {DATABASES} {on} FROM {destination} ASYNC", report)
    # 3. The offsets from which the service continues.
    set_back(settings, feed, name)


def set_back(settings: WarehouseSettings, feed: Feed, name: str) -> None:
    """Reset the group's offsets to the backup's: rows that are stored again replace themselves."""
    with closing(ClickHouse(settings)) as clickhouse, closing(Reader(settings, feed.group)) as reader:
        _check_stopped(reader, feed)
        rows = clickhouse.query(
            "SELECT topic, log_partition, log_offset FROM mentoring.backup_offsets FINAL WHERE name = {name:String}",
            {"name": name},
        )
        noted = {Partition(topic, number): Committed(offset) for topic, number, offset in rows}
        if not noted:
            raise BackupError(f"there are no offsets of a backup {name!r}")
        if not reader.commit(noted):
            raise BackupError("the offsets could not be set back: is the service running?")


def _check_stopped(reader: Reader, feed: Feed) -> None:
    """A group with members accepts no offsets from others: commit the current offsets to find out."""
    partitions = reader.assign(sorted(feed.targets))
    same = {p: one for p in partitions if (one := reader.committed(p))}
    until = time.monotonic() + MEMBER_GONE_SECONDS
    while same and not reader.commit(same):
        if time.monotonic() > until:
            raise BackupError("stop `rapport warehouse serve` first")
        time.sleep(POLL_SECONDS)


def _destination(settings: WarehouseSettings, name: str) -> str:
    if not NAME.fullmatch(name):
        raise BackupError("a backup's name has up to 100 letters, digits, - and _")
    return settings.warehouse_backups.get_secret_value().replace("{name}", name)


def _run(clickhouse: ClickHouse, statement: str, report: Report) -> None:
    """Run the statement asynchronously: it may take longer than any HTTP timeout."""
    [(number, *_)] = clickhouse.query(statement)
    while True:
        found = clickhouse.query(
            "SELECT toString(status), error FROM system.backups WHERE id = {id:String}", {"id": str(number)}
        )
        if not found:
            raise BackupError("ClickHouse was started anew meanwhile and knows nothing of it: repeat it")
        [(status, error)] = found
        if status in {"BACKUP_CREATED", "RESTORED"}:
            return
        if status not in {"CREATING_BACKUP", "RESTORING"}:
            raise BackupError(f"{status.lower()}: {error}")
        report(status.lower())
        time.sleep(POLL_SECONDS)
