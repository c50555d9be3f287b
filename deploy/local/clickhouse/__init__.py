"""The ClickHouse engine in a separate process behind ClickHouse's HTTP interface."""

from deploy.local.clickhouse.local import ClickHouseConfig, LocalClickHouse, Tls
from deploy.local.clickhouse.users import User

__all__ = ["ClickHouseConfig", "LocalClickHouse", "Tls", "User"]
