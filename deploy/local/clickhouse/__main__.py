"""`python -m deploy.local.clickhouse --path DIR --port N`: the embedded server as a separate process.

It first opens what lies outside its folders: users, certificate and port. Then it confines itself (confinement.py), and
only then imports the engine.
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

from deploy.local.clickhouse.confinement import Confinement, confine
from deploy.local.clickhouse.users import load_users
from deploy.local.ports import LOOPBACK

SHUTDOWN_SECONDS = 5.0  # for responses in progress
LONGEST_LINE_BYTES = 1 << 20  # URLs may contain statements
LONGEST_HEADER_BYTES, MAX_HEADERS = 1 << 14, 64
UNREAD_BODY_SECONDS = 1.0  # the rest of a refused request is discarded for so long, then the connection is closed
BACKLOG = 128

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folders:
    """The only folders that the confined process may change. `temporary` is emptied at the start, because a kill leaves
    files behind."""

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
@click.option("--host", default=LOOPBACK, show_default=True, help="any other address exposes the server to the network")
@click.option("--users", type=click.Path(path_type=Path), help="users.json; without it the server accepts everybody")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM with key and certificates: serves https")
@click.option("--caps", type=(int, int), default=(32, 1 << 30), show_default=True, help="queries at once, body bytes")
@click.option("--trust-readers", is_flag=True, help="admit readers even if the kernel cannot confine this process")
@click.option("--unconfined", is_flag=True, help="do not confine this process, even if the kernel could")
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
    # 1. Open what the confinement will make unreachable.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    users_by_name, tls = load_users(users), None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    folders = Folders.prepared(path)
    os.environ["TMPDIR"] = str(folders.temporary)
    # 2. Confine the process before any thread starts.
    confinement = Confinement(0, files=False, tcp=False) if unconfined else confine((folders.data, folders.temporary))
    log.log(logging.INFO if confinement.files else logging.WARNING, "%s", confinement)
    # 3. Import the engine, which starts threads, only after the confinement.
    from deploy.local.clickhouse.engine import Engine  # noqa: PLC0415
    from deploy.local.clickhouse.server import Access, Caps, Server  # noqa: PLC0415

    engine = Engine(folders.data, folders.temporary)
    server = Server(engine, Access(users_by_name, confinement, trust_readers), Caps(*caps))
    web.run_app(
        server.application(),
        sock=listening,
        ssl_context=tls,
        print=None,
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        handler_cancellation=True,  # a disconnecting client cancels its statement: engine.py
        auto_decompress=False,  # compression.py handles all encodings
        max_line_size=LONGEST_LINE_BYTES,
        max_field_size=LONGEST_HEADER_BYTES,
        lingering_time=UNREAD_BODY_SECONDS,
        max_headers=MAX_HEADERS,
    )


if __name__ == "__main__":
    main()
