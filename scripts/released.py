"""Check that no migration of a release was edited, or record those of a new release.

    scripts/released.py            # in `make lint`
    scripts/released.py --record   # for a release

bootstrap/migrations/released.sha256 has a line for each, in the form of sha256sum. A
reversal (.down.sql) may be corrected, because no database records it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "bootstrap" / "migrations"
FILE = "released.sha256"


def checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each migration, in hex, by the name of its file."""
    return {
        path.name: hashlib.sha256(path.read_text("utf-8").encode()).hexdigest()
        for path in sorted(folder.glob("*.sql"))
        if not path.name.endswith(".down.sql")
    }


def recorded(folder: Path) -> dict[str, str]:
    """The recorded SHA-256 of each released migration, by the name of its file."""
    lines = (folder / FILE).read_text("utf-8").splitlines()
    return {name: checksum for checksum, name in map(str.split, lines)}


def complaints(folder: Path) -> list[str]:
    """A line for each released migration that was edited or removed."""
    present = checksums(folder)
    return [
        f"bootstrap/migrations/{name} was released and is "
        f"{'edited' if name in present else 'removed'}: restore it (`git log -- "
        f"bootstrap/migrations/{name}` lists its versions), and write a new migration "
        "(CONTRIBUTING.md)"
        for name, checksum in recorded(folder).items()
        if present.get(name) != checksum
    ]


def record(folder: Path) -> None:
    """Record every migration as released."""
    lines = [f"{checksum}  {name}\n" for name, checksum in checksums(folder).items()]
    (folder / FILE).write_text("".join(lines), "utf-8")


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--record"]):
        print("usage: scripts/released.py [--record]", file=sys.stderr)
        return 2
    found = complaints(FOLDER)
    for line in found:
        print(line)
    if arguments and not found:
        record(FOLDER)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
