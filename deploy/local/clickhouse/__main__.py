"""`python -m deploy.local.clickhouse --path DIR --port N`: the embedded server as a process of its own."""

import logging
import ssl
from pathlib import Path

import click
from aiohttp import web

from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.server import Caps, Server
from deploy.local.clickhouse.users import load_users
from deploy.local.ports import LOOPBACK

ENGINE_THREADS = 8  # engine calls at once; each uses all processors
SHUTDOWN_SECONDS = 5.0  # for answers under way
LONGEST_LINE_BYTES = 1 << 20  # statements come in URLs, too


@click.command()
@click.option("--path", type=click.Path(path_type=Path), required=True, help="data folder; one server per folder")
@click.option("--port", type=int, required=True)
@click.option("--host", default=LOOPBACK, show_default=True, help="another address opens the server to the network")
@click.option("--users", type=click.Path(path_type=Path), help="users.json; without it the server is open to all")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM with key and certificates: serves https")
@click.option("--caps", type=(int, int), default=(32, 1 << 30), show_default=True, help="queries at once, body bytes")
def main(  # noqa: PLR0913 (an option each)
    *, path: Path, port: int, host: str, users: Path | None, certificate: Path | None, caps: tuple[int, int]
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    engine = Engine(path, ENGINE_THREADS)
    server = Server(engine, load_users(users), Caps(*caps))
    web.run_app(
        server.application(),
        host=host,
        port=port,
        ssl_context=_tls(certificate),
        print=None,
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        auto_decompress=False,  # gzip, zstd and lz4 take one path: compression.py
        max_line_size=LONGEST_LINE_BYTES,
        max_field_size=LONGEST_LINE_BYTES,
    )


def _tls(certificate: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


if __name__ == "__main__":
    main()
