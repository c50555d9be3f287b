"""The dbt package: its sources are the marts, and its models and tests are statements that the engine answers."""

import json
import os
import re
import subprocess
import threading
import uuid
import venv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner

from deploy.local.clickhouse import LocalClickHouse
from services.runtime.clickhouse import ClickHouse
from services.warehouse.__main__ import main
from services.warehouse.domain.marts import MARTS
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.settings import WarehouseSettings
from tests.warehouse.known_history import tell

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "services/warehouse/dbt"
SOURCES = PACKAGE / "models/sources.yml"
STAGING = sorted((PACKAGE / "models/staging").glob("*.sql"))
REQUIREMENTS = Path(__file__).with_name("requirements-dbt.txt")
_SOURCE = re.compile(r"\{\{ source\('rapport', '(\w+)'\) \}\}")


@pytest.fixture(scope="module")
def filled(warehouse_server: LocalClickHouse) -> Iterator[ClickHouse]:
    with closing(ClickHouse(WarehouseSettings(clickhouse=warehouse_server.url))) as clickhouse:
        tell(clickhouse, f"dbt-{uuid.uuid4().hex[:8]}")
        DerivedTables(clickhouse, 0, threading.Event()).recompute_if_due()
        yield clickhouse


def test_its_sources_are_the_marts_as_they_describe_themselves(warehouse_server: LocalClickHouse) -> None:
    asked = ["docs", "--format", "dbt"]
    done = CliRunner().invoke(main, asked, env={"RAPPORT_CLICKHOUSE": warehouse_server.url})

    assert done.stdout == SOURCES.read_text(), f"rapport warehouse docs --format dbt > {SOURCES.relative_to(ROOT)}"
    [source] = yaml.safe_load(done.stdout)["sources"]
    assert {table["name"] for table in source["tables"]} == set(MARTS)
    for table in source["tables"]:
        [keyed] = table["data_tests"]
        assert tuple(keyed["one_row_per"]["arguments"]["columns"]) == MARTS[table["name"]]
        assert all(column["description"] for column in table["columns"])


@pytest.mark.parametrize("model", STAGING, ids=lambda path: path.stem)
def test_a_staging_model_has_one_row_per_key(filled: ClickHouse, model: Path) -> None:
    described = {
        one["name"]: one for one in yaml.safe_load((PACKAGE / "models/staging/staging.yml").read_text())["models"]
    }
    [keyed] = described[model.stem]["data_tests"]
    key = ", ".join(keyed["one_row_per"]["arguments"]["columns"])
    statement = _SOURCE.sub(r"mentoring_mart.\1", model.read_text())

    [(rows, keys)] = filled.query(f"SELECT count(), uniqExact({key}) FROM ({statement})")

    assert "{{" not in statement
    assert rows == keys > 0


def test_every_staging_model_is_described() -> None:
    described = yaml.safe_load((PACKAGE / "models/staging/staging.yml").read_text())["models"]

    assert {one["name"] for one in described} == {path.stem for path in STAGING}


@pytest.mark.drill
def test_dbt_builds_and_tests_it_against_the_local_server(
    filled: ClickHouse, warehouse_server: LocalClickHouse, tmp_path: Path
) -> None:
    """It does not install beside our pins: dbt gets an environment of its own, kept until its requirements change."""
    at = urlsplit(warehouse_server.url)
    environment = os.environ | {"RAPPORT_DBT_HOST": str(at.hostname), "RAPPORT_DBT_PORT": str(at.port)}
    (tmp_path / "profiles.yml").write_text((PACKAGE / "profiles.example.yml").read_text())
    places = ["--project-dir", str(PACKAGE), "--profiles-dir", str(tmp_path), "--target-path", str(tmp_path / "target")]

    done = subprocess.run(
        [str(dbt()), "--log-path", str(tmp_path / "logs"), "build", *places],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    results = json.loads((tmp_path / "target/run_results.json").read_text())["results"]
    assert {one["status"] for one in results} == {"success", "pass"}
    assert len(results) > len(STAGING) + len(MARTS)
    assert filled.query("SELECT count() > 0 FROM rapport_dbt.stg_rapport__relationships") == [(1,)]


def dbt() -> Path:
    place = ROOT / ".rapport" / "cache" / "dbt"
    ready = place / "ready"
    if not ready.exists() or ready.read_text() != REQUIREMENTS.read_text():
        venv.create(place, with_pip=True, clear=True)
        command = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)]
        subprocess.run(command, check=True, timeout=900)
        ready.write_text(REQUIREMENTS.read_text())
    return place / "bin/dbt"
