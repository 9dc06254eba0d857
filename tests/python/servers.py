"""Servers of the tests' own, on folders and disks of their own."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from saas_analytics.server.embedded import CONFIGURATION, LOCALE, EmbeddedServer

# A test's server may lose its data: nothing is waited for on its way to the disk.
FAST = {
    **CONFIGURATION,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "max_prepared_transactions": "10",
    "wal_level": "logical",
}


@contextlib.contextmanager
def server_folder() -> Iterator[Path]:
    """A folder for a server's data, gone at the end.

    Not below pytest's own: each pytest that starts closes those to other users, such as
    the one that root's server runs as.
    """
    with tempfile.TemporaryDirectory(prefix="saas-analytics-") as folder:
        yield Path(folder)


def kill_9(server: EmbeddedServer) -> None:
    """Kill all processes of a server, as when the machine loses power."""
    first = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
    victims = [first, *first.children(recursive=True)]
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    psutil.wait_procs(victims, timeout=10)


def fast_server(
    folder: Path, programs: Path | None = None, locale: tuple[str, ...] = LOCALE
) -> EmbeddedServer:
    """A server for tests in a folder."""
    return EmbeddedServer(
        folder,
        configuration=tuple(FAST.items()),
        programs=programs,
        initdb_options=(*locale, "--no-sync"),
    )
