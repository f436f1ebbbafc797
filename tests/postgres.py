"""A private PostgreSQL server for a test session, from Debian's `postgresql`."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def binaries() -> Path | None:
    """Folder of `initdb` and `pg_ctl`, or None where PostgreSQL is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = [folder for folder in folders if (folder / "initdb").exists()]
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class PostgresServer:
    """Listens on a socket in its own folder only; nothing is synchronised to disk."""

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        self.bin = bin_folder
        self.folder = folder
        # PostgreSQL refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())[0]
        self.prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def start(self) -> None:
        if self.prefix:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", self._data, "-A", "trust", "-E", "UTF8", "--no-sync")
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self.folder} "
            "-c fsync=off -c max_connections=60 -c shared_buffers=32MB"
        )
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", self._data, "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def new_database(self) -> str:
        """Create an empty database and return its address."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database: dozens of them would fill the disk."""
        name = url.split("/")[3].split("?")[0]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql://{self.user}@/{name}?host={self.folder}"

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        # Not to a pipe: the server that pg_ctl starts would hold its end open.
        with (self.folder / "output").open("ab") as output:
            done = subprocess.run(
                [*self.prefix, str(self.bin / program), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                check=False,
            )
        if done.returncode:
            text = (self.folder / "output").read_text()
            raise RuntimeError(f"{program} failed:\n{text}")


@contextmanager
def running_postgres(bin_folder: Path) -> Iterator[PostgresServer]:
    # Directly under the system's folder: a socket's path is short or refused.
    with tempfile.TemporaryDirectory(prefix="labwm-pg-") as folder:
        server = PostgresServer(bin_folder, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
