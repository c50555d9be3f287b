"""How an import reaches the gateway."""

import ssl

import pytest

from services.ingest.importing.sender import gateway_client


@pytest.mark.parametrize(
    ("url", "reads"), [("http://127.0.0.1:8080", 0), ("HTTP://gateway", 0), ("https://gateway", 1)]
)
def test_certificates_are_read_only_where_the_gateway_is_asked_over_tls(
    url: str, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[ssl.SSLContext]()
    make = ssl.create_default_context

    def noted(cafile: str | None = None) -> ssl.SSLContext:
        read.append(make(cafile=cafile))
        return read[-1]

    monkeypatch.setattr(ssl, "create_default_context", noted)

    with gateway_client(url, "a token") as client:
        assert client.headers["authorization"] == "Bearer a token"

    assert len(read) == reads
