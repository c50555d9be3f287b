"""Settings: unknown names are refused, secrets are masked, errors name the variable."""

from typing import Self

import pytest
from pydantic import Field, model_validator

from services.runtime.settings import Settings, SettingsError, describe, load


class WarehouseLike(Settings):
    warehouse_rows: int = Field(5, ge=1)

    @model_validator(mode="after")
    def _even_with_sasl(self) -> Self:
        if self.kafka_sasl_username and self.warehouse_rows % 2:
            raise ValueError("rows must be even with SASL")
        return self


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAPPORT_KAFKA", "RAPPORT_CLICKHOUSE", "RAPPORT_CLOCK"):
        monkeypatch.delenv(name, raising=False)


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", "broker:1")
    monkeypatch.setenv("RAPPORT_WAREHOUSE_ROWS", "7")

    settings = load(WarehouseLike, "warehouse")

    assert settings.kafka == "broker:1"
    assert settings.warehouse_rows == 7


def test_a_misspelt_name_is_refused_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_CLICKHUOSE", "http://x")

    with pytest.raises(
        SettingsError, match="RAPPORT_CLICKHUOSE: there is no such setting, did you mean RAPPORT_CLICKHOUSE"
    ):
        load(WarehouseLike, "warehouse")


def test_the_names_of_other_services_are_left_alone_but_own_unknown_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAPPORT_NOTIFY_ANYTHING", "1")
    load(WarehouseLike, "warehouse")
    monkeypatch.setenv("RAPPORT_WAREHOUSE_ROSE", "1")

    with pytest.raises(SettingsError, match="RAPPORT_WAREHOUSE_ROSE"):
        load(WarehouseLike, "warehouse")


def test_all_problems_are_reported_at_once_by_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_WAREHOUSE_ROWS", "none")
    monkeypatch.setenv("RAPPORT_CLOCK", "sundial")

    with pytest.raises(SettingsError) as told:
        load(WarehouseLike, "warehouse")

    assert "RAPPORT_WAREHOUSE_ROWS: " in str(told.value)
    assert "RAPPORT_CLOCK: " in str(told.value)


def test_a_rule_over_several_settings_is_reported_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA_SASL_USERNAME", "me")

    with pytest.raises(SettingsError, match=r"settings: .*rows must be even"):
        load(WarehouseLike, "warehouse")


def test_what_is_printed_hides_secrets_and_says_what_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_CLICKHOUSE_PASSWORD", "do-not-tell")

    printed = describe(load(WarehouseLike, "warehouse"))

    assert "do-not-tell" not in printed
    assert "RAPPORT_CLICKHOUSE_PASSWORD=**********  (set)" in printed
    assert "RAPPORT_WAREHOUSE_ROWS=5  (default)" in printed
