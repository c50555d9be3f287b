"""Asks the demo's ClickHouse over HTTP, as any script could."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import httpx

SECONDS = 60.0


class Warehouse:
    """`login` as (user, password). Raises httpx.HTTPError, with ClickHouse's own words for a failed query."""

    def __init__(self, url: str, login: tuple[str, str]) -> None:
        self._client = httpx.Client(base_url=url, auth=login, timeout=SECONDS)

    def ask(self, name: str, **parameters: str) -> list[dict[str, Any]]:
        """The rows of the query `NAME.sql` beside this file; `parameters` fill its {name:Type} places."""
        return self.query((files("deploy.local.demo") / f"{name}.sql").read_text(), parameters)

    def query(self, sql: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        options = {"default_format": "JSONEachRow", "output_format_json_quote_64bit_integers": "0"}
        places = {f"param_{name}": value for name, value in parameters.items()}
        answer = self._client.post("/", params={**options, **places}, content=sql)
        if answer.is_error:
            raise httpx.HTTPStatusError(answer.text.strip(), request=answer.request, response=answer)
        return [json.loads(line) for line in answer.text.splitlines()]

    def close(self) -> None:
        self._client.close()
