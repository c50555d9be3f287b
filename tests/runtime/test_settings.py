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


@pytest.mark.parametrize(
    "name", ["KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE", "KAFKA_SSL_KEYFILE", "CLICKHOUSE_SSL_CAFILE"]
)
def test_a_key_where_the_path_of_its_file_belongs_is_named_and_not_printed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"RAPPORT_{name}", "-----BEGIN PRIVATE KEY-----\n" + "QUFB" * 500)

    with pytest.raises(SettingsError) as refused:
        load(WarehouseLike, "warehouse")

    assert str(refused.value) == f"RAPPORT_{name}: Value error, names no file that can be looked at: File name too long"


@pytest.mark.parametrize(
    "servers", ["", "  ", "http://broker:9092", "broker:port", "broker:99999", "broker:0", "a:1,,b:1", ":9092", "a b:1"]
)
def test_bootstrap_servers_that_are_none_are_refused(servers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", servers)

    with pytest.raises(SettingsError, match=r"RAPPORT_KAFKA: must be host:port\[,host:port\]"):
        load(WarehouseLike, "warehouse")


@pytest.mark.parametrize("servers", ["broker:9092", "broker", "a:1, b:2", "[::1]:9092"])
def test_bootstrap_servers_are_accepted_as_clients_of_kafka_write_them(
    servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPPORT_KAFKA", servers)

    assert load(WarehouseLike, "warehouse").kafka == servers


@pytest.mark.parametrize("url", ["", "nan", "clickhouse:8123", "ftp://x", "http://", "http://a b", "http://x:99999"])
def test_an_address_of_clickhouse_that_is_none_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_CLICKHOUSE", url)

    with pytest.raises(SettingsError, match=r"RAPPORT_CLICKHOUSE: must be http\(s\)://host:port"):
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
