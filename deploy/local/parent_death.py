"""Runs a command that dies with its parent (on Linux): `python -I -S parent_death.py PARENT_PID COMMAND ...`.

A separate program that ends in exec, because code between fork and exec of a threaded parent may deadlock. The kernel
signals when the *thread* that started the child ends: start children from one that outlives them.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before prctl took effect; then no signal would ever come.
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - replacing this process is the purpose


if __name__ == "__main__":
    main()
