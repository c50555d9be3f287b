"""`rapport notify serve`, or `board`, on the topics of one test: python run_service.py PREFIX [board]."""

import sys

from services.notify.__main__ import run
from services.notify.board.service import serve_board
from services.notify.service import serve
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime.settings import load


def names(prefix: str) -> NotifyTopics:
    return NotifyTopics(
        scores=f"{prefix}.scores",
        alerts=f"{prefix}.alerts",
        alert_state=f"{prefix}.alert-state",
        deliveries=f"{prefix}.deliveries",
        directory=f"{prefix}.directory",
        programs=f"{prefix}.programs",
        roster=f"{prefix}.roster",
        sources=f"{prefix}.sources",
        rules=f"{prefix}.rules",
        commands=f"{prefix}.commands",
        shared_state=f"{prefix}.shared-state",
        board_tokens=f"{prefix}.board-tokens",
        subject_state=f"{prefix}.subject-state",
        leader=f"{prefix}.leader",
        identity=prefix,
    )


if __name__ == "__main__":
    serves = serve_board if sys.argv[2:] == ["board"] else serve
    run(load(NotifySettings, "notify"), names(sys.argv[1]), serves)
