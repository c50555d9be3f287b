"""What counts as an answer of a health port."""

import socket
import threading

import pytest

from deploy.local.readiness import State
from deploy.local.services import probe_readyz

HEAD = b"HTTP/1.1 %s\r\nContent-Length: 30\r\n\r\n"


@pytest.mark.parametrize("status", [b"200 OK", b"503 Service Unavailable"])
@pytest.mark.parametrize("keeps_open", [True, False], ids=["and says no more", "and goes away"])
def test_half_an_answer_is_none(status: bytes, *, keeps_open: bool) -> None:
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(HEAD % status + b'{"state":')
                if keeps_open:
                    done.wait(10)

        server = threading.Thread(target=answer)
        server.start()
        found = probe_readyz(listener.getsockname()[1])
        done.set()
        server.join(10)

    assert found.state is State.STARTING
