"""Designs of change capture on the event table, each in its own database."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks import server
from benchmarks.ingest import designs
from benchmarks.ingest.designs import Design, Rows

FOLDER = Path(__file__).resolve().parent

# usage_events is the same before and after it.
BEFORE_GROUPS = "005_erasures"

# The statements of a design with capture after the migrations. The design `ours` has
# each scope's events in one index, and the last design in one more.
CAPTURES = {
    "column": ("users.sql", "column.sql"),
    "brin": ("users.sql", "column.sql", "brin.sql"),
    "btree": ("users.sql",),
    "ours": (),
    "key": ("key.sql",),
}


@contextlib.contextmanager
def build(scratch: server.Server, total: int) -> Iterator[tuple[list[Design], Rows]]:
    """All designs with accounts and without events; the first has no capture."""
    with contextlib.ExitStack() as stack:
        without = stack.enter_context(
            designs.ours(scratch, "none", up_to=designs.BEFORE_CAPTURE)
        )
        server.run_file(without.connection, FOLDER / "users.sql")
        built = [without]
        for name, files in CAPTURES.items():
            design = stack.enter_context(designs.ours(scratch, name))
            for file in files:
                server.run_file(design.connection, FOLDER / file)
            built.append(design)
        yield built, stack.enter_context(designs.made_up_rows(scratch, total))


@contextlib.contextmanager
def build_with_groups(
    scratch: server.Server, table: str, total: int
) -> Iterator[tuple[list[Design], Rows]]:
    """Without capture, with it, and with the index of groups and days, too."""
    with contextlib.ExitStack() as stack:
        built = [
            stack.enter_context(designs.ours(scratch, name, up_to=revision))
            for name, revision in (
                ("none", designs.BEFORE_CAPTURE),
                ("capture", BEFORE_GROUPS),
                ("ours", "head"),
            )
        ]
        usage_events = round(total / designs.SHARES[table])
        yield built, stack.enter_context(designs.made_up_rows(scratch, usage_events))
