"""Landlock (Linux 5.13+): this process irrevocably gives up access to all files but the named ones, and to TCP.

The kernel confines a process that runs foreign SQL, so that no function, table function or setting of the engine can
reach further, whatever the statement. A thread inherits the confinement of the one that starts it, so `confine` must
run before the import of the engine, which starts threads. It needs no privilege and cannot be undone.
"""

import ctypes
import os
import struct
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

# linux/landlock.h; the numbers of the system calls are the same on every architecture.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION, PATH_BENEATH = 1, 1
PR_SET_NO_NEW_PRIVS = 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
FILES_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15  # truncate, ioctl: the rest concerns folders
TCP = 0b11  # bind and connect
TCP_SINCE, SCOPES_SINCE = 4, 6
SCOPES = 0b11  # abstract unix sockets and signals stay within this process

# What the C library, Python and the engine read. Not /proc/self, which shows the environment. Not /etc, except what the
# linker and the resolution of the own host name need.
SYSTEM_PATHS = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone"),
    *("/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm", "/dev/urandom", "/dev/random"),
)


# The C library reads the bounds of the main thread's stack, and the engine its memory use. The kernel drops a rule
# about a /proc file when its inode is freed: these files stay open for the life of the process.
OWN_PROC_FILES = ("maps", "statm", "stat")


@dataclass(frozen=True)
class Confinement:
    """What is in force: `files` and `tcp` say whether the kernel denies them to this process."""

    abi: int
    files: bool
    tcp: bool

    def __str__(self) -> str:
        if not self.files:
            return (
                "not confined: a query may reach the files and the network of this user, as the kernel has no Landlock"
            )
        network = "no network" if self.tcp else "the network (Landlock before ABI 4)"
        return f"confined: a query reaches its own folders only and {network} (Landlock ABI {self.abi})"


def confine(own: tuple[Path, ...]) -> Confinement:
    """From now on this process may change the content of `own`, read libraries, and use sockets that are open already.

    Raises OSError when a kernel with Landlock refuses, and RuntimeError when other threads are running: they would
    remain unconfined.
    """
    abi = landlock_abi()
    if abi < 1:
        return Confinement(0, files=False, tcp=False)
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise RuntimeError("confine this process before it starts threads: those that run already stay outside")
    everything = FILES_OF_ABI[min(abi, max(FILES_OF_ABI))]
    ruleset = _create_ruleset(abi, everything)
    try:
        for path in own:
            _allow(ruleset, path, everything & ~EXECUTE)
        for path in (*map(Path, SYSTEM_PATHS), *_python()):
            _allow(ruleset, path, READ_FILE | READ_DIR)
        _allow(ruleset, Path("/dev/null"), READ_FILE | WRITE_FILE)
        for name in OWN_PROC_FILES:
            file = Path(f"/proc/{os.getpid()}/{name}")
            os.open(file, os.O_PATH)  # and never closed
            _allow(ruleset, file, READ_FILE)
        _call(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _call(_libc().syscall(RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return Confinement(abi, files=True, tcp=abi >= TCP_SINCE)


def landlock_abi() -> int:
    """Return 0 without Landlock: another system, an older kernel, or one booted without it."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(CREATE_RULESET, None, 0, ASK_VERSION)))


def _create_ruleset(abi: int, files: int) -> int:
    attributes = struct.pack("Q", files)
    if abi >= TCP_SINCE:
        attributes += struct.pack("Q", TCP)
    if abi >= SCOPES_SINCE:
        attributes += struct.pack("Q", SCOPES)
    return _call(_libc().syscall(CREATE_RULESET, attributes, len(attributes), 0))


def _python() -> tuple[Path, ...]:
    """Return the paths of Python modules; of this project the code only, because a data folder may lie beside it."""
    paths = sysconfig.get_paths()
    libraries = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    project = Path(__file__).parents[2]
    return (*map(Path, sorted(libraries)), Path(sys.base_prefix) / "lib", project)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """A missing path needs no rule."""
    try:
        opened = os.open(path, os.O_PATH)
    except FileNotFoundError:
        return
    try:
        rights &= ~0 if path.is_dir() else FILE_RIGHTS
        _call(_libc().syscall(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", rights, opened), 0))
    finally:
        os.close(opened)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
