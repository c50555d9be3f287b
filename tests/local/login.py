"""Short requests to an embedded ClickHouse as one user."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from tests import plain_http


@dataclass(frozen=True)
class Login:
    """One user's view of a server."""

    url: str
    name: str
    password: str

    def ask(self, sql: str, **parameters: str) -> httpx.Response:
        return self.send(sql.encode(), parameters, {})

    def send(self, body: bytes, parameters: Mapping[str, str], headers: Mapping[str, str]) -> httpx.Response:
        known = {"X-ClickHouse-User": self.name, "X-ClickHouse-Key": self.password}
        return plain_http.post(
            self.url, content=body, params=dict(parameters), headers={**known, **headers}, timeout=30, trust_env=False
        )

    def lines(self, sql: str, **parameters: str) -> list[str]:
        answer = self.ask(sql, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.text.splitlines()


def code_of(answer: httpx.Response) -> int:
    return int(answer.headers.get("X-ClickHouse-Exception-Code", "0"))
