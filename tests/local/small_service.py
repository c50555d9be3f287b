"""A process to supervise: `small_service.py NAME PORT JOURNAL [--deaf] [--crash]`.

Serves /readyz, notes its start and stop in the journal; deaf: ignores SIGTERM; crash: ends after its first answer.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

NAME, PORT, JOURNAL = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])


def note(what: str) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(f"{what} {NAME}\n")


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"state": "ready", "detail": f"I am {NAME}"}).encode())
        if "--crash" in sys.argv:
            sys.stderr.write(f"{NAME} has had enough\n")
            sys.stderr.flush()
            self.wfile.flush()
            os._exit(7)


def stop(*_: object) -> None:
    note("stop")
    if "--deaf" not in sys.argv:
        os._exit(0)


signal.signal(signal.SIGTERM, stop)
note("start")
HTTPServer(("127.0.0.1", PORT), Answer).serve_forever()
