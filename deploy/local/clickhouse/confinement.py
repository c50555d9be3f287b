"""Landlock (Linux 5.13+): this process gives up, for good, all files but those named and all TCP of its own.

A process that runs foreign SQL is walled in by the kernel, so that no function, table function or setting of the engine
can reach further, whatever its statement says. A thread inherits the walls of the one that starts it: `confine` comes
before the engine is imported, which starts threads. No privilege is needed, and nothing lifts it again.
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
RIGHTS_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15  # truncate, ioctl: the rest concerns folders
TCP = 0b11  # bind and connect
TCP_SINCE, SCOPES_SINCE = 4, 6
SCOPES = 0b11  # abstract unix sockets and signals stay within this process

# What the C library, Python and the engine read of the machine. Not /proc/self: it shows the environment. Not /etc,
# except what the linker and name resolution of this machine's own name need.
MACHINE = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone"),
    *("/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm", "/dev/urandom", "/dev/random"),
)


# Of this process the C library reads where the stack of the main thread lies, and the engine its own memory. The kernel
# forgets a rule about a file of /proc with the file's entry: these stay open for the life of the process.
OWN_PROCESS = ("maps", "statm", "stat")


@dataclass(frozen=True)
class Walls:
    """What holds: `files` and `tcp` tell whether the kernel keeps this process from them."""

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


def confine(own: tuple[Path, ...]) -> Walls:
    """From now on this process may change what lies in `own`, read libraries, and use sockets that are open already.

    Raises OSError when a kernel that has Landlock refuses, and RuntimeError when other threads run already, which would
    stay outside: half a wall is none.
    """
    abi = landlock_abi()
    if abi < 1:
        return Walls(0, files=False, tcp=False)
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise RuntimeError("confine this process before it starts threads: those that run already stay outside")
    everything = FILES_OF_ABI[min(abi, max(FILES_OF_ABI))]
    rules = _ruleset(abi, everything)
    try:
        for path in own:
            _allow(rules, path, everything & ~EXECUTE)
        for path in (*map(Path, MACHINE), *_python()):
            _allow(rules, path, READ_FILE | READ_DIR)
        _allow(rules, Path("/dev/null"), READ_FILE | WRITE_FILE)
        for name in OWN_PROCESS:
            file = Path(f"/proc/{os.getpid()}/{name}")
            os.open(file, os.O_PATH)  # and never closed
            _allow(rules, file, READ_FILE)
        _call(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _call(_libc().syscall(RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return Walls(abi, files=True, tcp=abi >= TCP_SINCE)


def landlock_abi() -> int:
    """0 where there is none: another system, an older kernel, or one that was started without it."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(CREATE_RULESET, None, 0, ASK_VERSION)))


def _ruleset(abi: int, files: int) -> int:
    attributes = struct.pack("Q", files)
    if abi >= TCP_SINCE:
        attributes += struct.pack("Q", TCP)
    if abi >= SCOPES_SINCE:
        attributes += struct.pack("Q", SCOPES)
    return _call(_libc().syscall(CREATE_RULESET, attributes, len(attributes), 0))


def _python() -> tuple[Path, ...]:
    """Where modules are imported from; of this project its own code only, because a data folder may lie beside it."""
    paths = sysconfig.get_paths()
    libraries = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    project = Path(__file__).parents[2]
    return (*map(Path, sorted(libraries)), Path(sys.base_prefix) / "lib", project)


def _allow(rules: int, path: Path, rights: int) -> None:
    """What is not there need not be allowed."""
    try:
        opened = os.open(path, os.O_PATH)
    except FileNotFoundError:
        return
    try:
        rights &= ~0 if path.is_dir() else RIGHTS_OF_A_FILE
        _call(_libc().syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", rights, opened), 0))
    finally:
        os.close(opened)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
