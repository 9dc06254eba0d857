"""Rights on folders that the server's user needs when root starts the server."""

import pwd
import stat
from pathlib import Path

from saas_analytics.server import acl


def let_pass(folder: Path, user: pwd.struct_passwd) -> None:
    """Let the server's user traverse the parent folders that only root may enter."""
    for parent in folder.resolve().parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IXOTH:
            continue
        try:
            acl.let_pass(parent, user.pw_uid)
        except OSError:
            # A file system without access lists offers no narrower right.
            parent.chmod(mode | stat.S_IXOTH)


def let_read(folder: Path) -> None:
    """Let every user read installed files that root's umask has closed to others."""
    if folder.stat().st_mode & stat.S_IXOTH:
        return
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            # Others get the owner's rights except writing.
            path.chmod(mode | mode >> 6 & (stat.S_IROTH | stat.S_IXOTH))
