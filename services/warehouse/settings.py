"""Settings of the warehouse service, `RAPPORT_WAREHOUSE_*`."""

from typing import Annotated

from pydantic import Field

from services.runtime.settings import Port, Settings


class WarehouseSettings(Settings):
    warehouse_health_port: Port = 0
    warehouse_flush_records: Annotated[int, Field(ge=1, le=100_000)] = Field(
        10_000, description="records of one partition that are stored at once"
    )
    warehouse_flush_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        1.0, description="after which fewer are stored too"
    )
    warehouse_recompute_seconds: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        2.0, description="between recomputations of the tables that are derived from scores"
    )
    warehouse_cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.{}-]*$")] = Field(
        "", description="name of the ClickHouse cluster: tables are created on it, and replicated"
    )
