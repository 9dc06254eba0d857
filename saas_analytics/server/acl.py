"""POSIX access lists, for the embedded server that root starts (Linux)."""

import os
import stat
import struct
from pathlib import Path

ATTRIBUTE = "system.posix_acl_access"
VERSION = struct.pack("<I", 2)
ENTRY = struct.Struct("<HHI")

# Tags of the kernel's <linux/posix_acl.h>; only named users and groups have an id.
OWNER, USER, OWNING_GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
NO_ID = 0xFFFFFFFF
EXECUTE = 1


def let_pass(folder: Path, user: int) -> None:
    """Let one user, and no other, traverse a folder without reading it.

    Raises:
        OSError: the file system keeps no access lists.
    """
    entries = _entries(folder)
    entries[USER, user] = entries.get((USER, user), 0) | EXECUTE
    # The mask caps named users and the group; without one it is the group's own rights.
    mask = entries.get((MASK, NO_ID), entries[OWNING_GROUP, NO_ID])
    entries[MASK, NO_ID] = mask | EXECUTE
    in_order = sorted(entries.items())
    packed = (ENTRY.pack(tag, rights, id_) for (tag, id_), rights in in_order)
    os.setxattr(folder, ATTRIBUTE, VERSION + b"".join(packed))


def _entries(folder: Path) -> dict[tuple[int, int], int]:
    """The rights by tag and id: the access list, or the rights of the mode."""
    if ATTRIBUTE in os.listxattr(folder):
        packed = os.getxattr(folder, ATTRIBUTE)[len(VERSION) :]
        return {(tag, id_): rights for tag, rights, id_ in ENTRY.iter_unpack(packed)}
    mode = stat.S_IMODE(folder.stat().st_mode)
    return {
        (OWNER, NO_ID): mode >> 6 & 7,
        (OWNING_GROUP, NO_ID): mode >> 3 & 7,
        (OTHERS, NO_ID): mode & 7,
    }
