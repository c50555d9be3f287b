"""Finds Java, and resolves Kafka's jars once with Maven from the pinned pom.xml, into a cache shared by all data
folders."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.local.folder_lock import FolderLock

POM = Path(__file__).with_name("pom.xml")
OLDEST_JAVA = 17  # what Kafka 4 brokers need
INSTALL_HINT = (
    f"install a JDK {OLDEST_JAVA}+ and Maven (Debian, Ubuntu: apt-get install default-jdk-headless maven;"
    " macOS: brew install openjdk maven), or set RAPPORT_KAFKA=host:port to use a running broker"
)
PROBE_SECONDS = 30
RESOLVE_SECONDS = 600  # 43 MB from a slow registry
MAVEN_LINES_SHOWN = 25


class MissingToolError(Exception):
    pass


class JarsUnresolvedError(Exception):
    pass


def find_java() -> str:
    """Return the path of a recent enough Java: from JAVA_HOME, else from PATH. Raises `MissingToolError`."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        raise MissingToolError(f"Kafka needs Java and `java` was not found: {INSTALL_HINT}")
    done = subprocess.run(  # noqa: S603 - the path comes from JAVA_HOME or PATH
        [java, "-version"], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
    )
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    if found is None:
        raise MissingToolError(f"{java} -version says no version: {done.stderr.strip()} ({INSTALL_HINT})")
    if int(found[1]) < OLDEST_JAVA:
        raise MissingToolError(f"{java} is Java {found[1]}, Kafka needs {OLDEST_JAVA}+: {INSTALL_HINT}")
    return java


def kafka_version() -> str:
    found = re.search("<kafka.version>(.+)</kafka.version>", POM.read_text())
    assert found is not None, "pom.xml names no kafka.version"
    return found[1]


def resolve_jars(cache: Path) -> Path:
    """Return the folder with all jars; if it exists, it is complete.

    Raises `MissingToolError` or `JarsUnresolvedError`.
    """
    # Java only uses a class archive if the jars have the same path as when it was made.
    jars = cache.resolve() / f"kafka-{kafka_version()}"
    if jars.exists():
        return jars
    with FolderLock(cache / f"{jars.name}.lock", wait_seconds=RESOLVE_SECONDS):
        if not jars.exists():
            _resolve(jars)
    return jars


def class_archive(java: str, jars: Path) -> Path:
    """Return the path of the class archive for these jars and this Java; each Java has its own."""
    program = Path(java).resolve()
    identity = f"{program} {program.stat().st_mtime_ns} {jars}"
    return jars.with_name(f"{jars.name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.jsa")


def _resolve(jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingToolError(f"Kafka's jars are fetched by Maven and `mvn` was not found: {INSTALL_HINT}")
    partial = Path(tempfile.mkdtemp(prefix=f"{jars.name}.partial-", dir=jars.parent))
    try:
        done = subprocess.run(  # noqa: S603 - the path comes from PATH
            [maven, "-B", "-ntp", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RESOLVE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            output = "\n".join(done.stdout.splitlines()[-MAVEN_LINES_SHOWN:])
            raise JarsUnresolvedError(f"Maven could not fetch Kafka's jars (exit {done.returncode}):\n{output}")
        partial.rename(jars)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
