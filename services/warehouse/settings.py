"""Settings of the warehouse service, `RAPPORT_WAREHOUSE_*`."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from services.runtime.settings import Port, Settings
from services.warehouse.domain.retention import FOREVER, Retention

# Reports need at least a quarter.
MIN_KEPT_DAYS = 90


def _long_enough(days: int) -> int:
    if 0 < days < MIN_KEPT_DAYS:
        raise ValueError(f"must be 0 (never), or at least {MIN_KEPT_DAYS}")
    return days


KeptDays = Annotated[int, Field(ge=0, le=36_500), AfterValidator(_long_enough)]


class WarehouseSettings(Settings):
    warehouse_health_port: Port = 0
    warehouse_flush_records: Annotated[int, Field(ge=1, le=100_000)] = Field(
        # With 10,000 records ClickHouse needs twice as long per row. 8 MiB still end a batch.
        20_000,
        description="records of one partition that are stored at once",
    )
    warehouse_flush_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        1.0, description="after which fewer are stored too"
    )
    warehouse_recompute_seconds: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        2.0, description="between recomputations of the tables that are derived from scores"
    )
    warehouse_reader: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        "reader", description="the login that `queries` asks with"
    )
    warehouse_reader_password: SecretStr = SecretStr("reader")
    warehouse_backups: SecretStr = Field(
        SecretStr("File('{name}')"),
        description="where ClickHouse keeps backups: File, Disk or S3 of its BACKUP, with {name}",
    )
    warehouse_keep_events_days: KeptDays = Field(
        0, description="after which events leave their table, by when they happened; 0: never. `migrate` applies it"
    )
    warehouse_keep_scores_days: KeptDays = Field(0, description="the same for scores and their versions")
    warehouse_keep_alerts_days: KeptDays = Field(0, description="the same for alerts, acts on them and deliveries")
    warehouse_cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.{}-]*$")] = Field(
        "", description="name of the ClickHouse cluster: tables are created on it, and replicated"
    )

    @property
    def retention(self) -> Retention:
        return Retention(
            self.warehouse_keep_events_days, self.warehouse_keep_scores_days, self.warehouse_keep_alerts_days
        )

    @model_validator(mode="after")
    def _nothing_leaves_a_past_that_is_played_again(self) -> Self:
        if self.clock == "log" and self.retention != FOREVER:
            raise ValueError("RAPPORT_WAREHOUSE_KEEP_..._DAYS count on the wall clock: leave them out with CLOCK=log")
        return self
