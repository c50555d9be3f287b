"""Finds Java and Maven, or says what to install."""

import os
import re
import shutil
import subprocess
from pathlib import Path

OLDEST_JAVA = 17  # what Kafka 4 brokers need
INSTALL_HINT = (
    f"install a JDK {OLDEST_JAVA}+ and Maven (Debian, Ubuntu: apt-get install default-jdk-headless maven;"
    " macOS: brew install openjdk maven), or set RAPPORT_KAFKA=host:port to use a running broker"
)
PROBE_SECONDS = 30


class MissingToolError(Exception):
    pass


def find_java() -> str:
    """Path of a Java new enough: from JAVA_HOME, else from PATH. Raises `MissingToolError`."""
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


def find_maven() -> str:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingToolError(f"Kafka's jars are fetched by Maven and `mvn` was not found: {INSTALL_HINT}")
    return maven
