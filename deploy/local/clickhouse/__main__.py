"""`python -m deploy.local.clickhouse --path DIR --port N`: the embedded server as a process of its own.

What it needs from outside its folders is opened first: users, certificate and port. Then it walls itself in
(confinement.py), and only then the engine is imported.
"""

import logging
import os
import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import click
from aiohttp import web

from deploy.local.clickhouse.confinement import Walls, confine
from deploy.local.clickhouse.users import load_users
from deploy.local.ports import LOOPBACK

SHUTDOWN_SECONDS = 5.0  # for answers under way
LONGEST_LINE_BYTES = 1 << 20  # statements come in URLs, too
LONGEST_HEADER_BYTES, MOST_HEADERS = 1 << 14, 64
UNREAD_BODY_SECONDS = 1.0  # what a refused request still sends is thrown away for so long, then the connection ends
BACKLOG = 128

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folders:
    """All that the confined process may change. `temporary` is emptied at the start: a kill leaves files behind."""

    data: Path
    temporary: Path

    @classmethod
    def prepared(cls, path: Path) -> "Folders":
        folders = cls(path.absolute(), path.absolute().with_name(f"{path.name}-temporary"))
        folders.data.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folders.temporary, ignore_errors=True)
        folders.temporary.mkdir()
        return folders


@click.command()
@click.option("--path", type=click.Path(path_type=Path), required=True, help="data folder; one server per folder")
@click.option("--port", type=int, required=True)
@click.option("--host", default=LOOPBACK, show_default=True, help="another address opens the server to the network")
@click.option("--users", type=click.Path(path_type=Path), help="users.json; without it the server is open to all")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM with key and certificates: serves https")
@click.option("--caps", type=(int, int), default=(32, 1 << 30), show_default=True, help="queries at once, body bytes")
@click.option("--trust-readers", is_flag=True, help="admit readers although the kernel does not confine this process")
@click.option("--unconfined", is_flag=True, help="do not confine this process, even where the kernel could")
def main(  # noqa: PLR0913 (an option each)
    *,
    path: Path,
    port: int,
    host: str,
    users: Path | None,
    certificate: Path | None,
    caps: tuple[int, int],
    trust_readers: bool,
    unconfined: bool,
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # 1. From outside: what the walls will keep away.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    known, tls = load_users(users), None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    folders = Folders.prepared(path)
    os.environ["TMPDIR"] = str(folders.temporary)
    # 2. The walls, before any thread.
    walls = Walls(0, files=False, tcp=False) if unconfined else confine((folders.data, folders.temporary))
    log.log(logging.INFO if walls.files else logging.WARNING, "%s", walls)
    # 3. The engine, whose import starts threads: it must not come before the walls.
    from deploy.local.clickhouse.engine import Engine  # noqa: PLC0415
    from deploy.local.clickhouse.server import Access, Caps, Server  # noqa: PLC0415

    engine = Engine(folders.data, folders.temporary)
    server = Server(engine, Access(known, walls, trust_readers), Caps(*caps))
    web.run_app(
        server.application(),
        sock=listening,
        ssl_context=tls,
        print=None,
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        handler_cancellation=True,  # a client that goes away takes its statement with it: engine.py
        auto_decompress=False,  # gzip, zstd and lz4 take one path: compression.py
        max_line_size=LONGEST_LINE_BYTES,
        max_field_size=LONGEST_HEADER_BYTES,
        lingering_time=UNREAD_BODY_SECONDS,
        max_headers=MOST_HEADERS,
    )


if __name__ == "__main__":
    main()
