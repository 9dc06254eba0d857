"""Folders that the server's user has to pass or to read, where root starts it."""

import pwd
import stat
from pathlib import Path

from saas_analytics.server import acl


def let_pass(folder: Path, user: pwd.struct_passwd) -> None:
    """Let the server's user pass the folders above, where root keeps others out."""
    for parent in folder.resolve().parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IXOTH:
            continue
        try:
            acl.let_pass(parent, user.pw_uid)
        except OSError:
            # Without access lists there is no narrower way.
            parent.chmod(mode | stat.S_IXOTH)


def let_read(folder: Path) -> None:
    """Let everybody read what pip installed, where root's umask kept them out."""
    if folder.stat().st_mode & stat.S_IXOTH:
        return
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            # Others may do what the owner may, but for writing.
            path.chmod(mode | mode >> 6 & (stat.S_IROTH | stat.S_IXOTH))
