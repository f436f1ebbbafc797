"""A private PostgreSQL server for a test session, from Debian's `postgresql`."""

import functools
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
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

    @property
    def stopping(self) -> list[str]:
        """Return the command that stops it, whoever started it."""
        program = str(self.bin / "pg_ctl")
        arguments = ["-D", self._data, "-s", "-m", "immediate", "-w", "stop"]
        return [*self.prefix, program, *arguments]

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


@functools.cache
def running_postgres(bin_folder: Path) -> PostgresServer:
    """Start the one server of this process; it stops when the process ends."""
    # Directly under the system's folder: a socket's path is short or refused.
    folder = Path(tempfile.mkdtemp(prefix="labwm-pg-"))
    server = PostgresServer(bin_folder, folder)
    outlive(server)
    server.start()
    return server


OUTLIVER = 'read _; "$@"; rm -rf "$FOLDER"'
"""Waits until nobody holds the other end of its standard input, then clears up."""


def outlive(server: PostgresServer) -> None:
    """Have a small process stop the server when this one ends, be it by SIGKILL."""
    read, _ = os.pipe()  # the end that is written to closes with this process only
    os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", OUTLIVER, "sh", *server.stopping],
        os.environ | {"FOLDER": str(server.folder)},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, read, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setpgroup=0,  # Ctrl-C is not for it
    )
    os.close(read)
