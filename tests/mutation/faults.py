"""The faults, as faults.yml lists them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from saas_analytics.errors import UserError
from tests.python.support import ROOT

FAULTS = Path(__file__).with_name("faults.yml")


@dataclass(frozen=True)
class Fault:
    """One thing that somebody might get wrong, in the project or in the data."""

    id: str
    kind: str
    means: str
    """What a reader of the marts is misled to believe."""

    file: str = ""
    """Where in the project `find` stands exactly once, and becomes `put`."""
    find: str = ""
    put: str = ""

    statement: str = ""
    """What damages a built company, for a fault in the data."""

    first: str = ""
    """The likeliest test to notice, `file.py::name`: it is run before the others."""

    survives: str = ""
    """Why no test can tell the difference, where that is known."""

    @property
    def place(self) -> str:
        """The part of the project, or of the data, that is damaged."""
        if self.statement:
            is_mart = "analytics." in self.statement
            return "data of the marts" if is_mart else "data of the source"
        return next(place for place in PLACES if self.file.startswith(place))


PLACES = (
    *("models/staging", "models/intermediate", "models/marts", "seeds"),
    *("packages/exact", "macros", "bootstrap/migrations", "bootstrap"),
    "saas_analytics",
    "tests/integrity",
    *("data of the marts", "data of the source"),
)


def load() -> list[Fault]:
    """All faults, in the order of the file."""
    entries: list[dict[str, Any]] = yaml.safe_load(FAULTS.read_text(encoding="utf-8"))
    return [Fault(**entry) for entry in entries]


def chosen(ids: tuple[str, ...]) -> list[Fault]:
    """The faults of these ids, all by default.

    Raises:
        UserError: there is no such fault.
    """
    faults = load()
    if unknown := set(ids) - {fault.id for fault in faults}:
        raise UserError(
            f"there is no fault {', '.join(sorted(unknown))}: --list names them"
        )
    return [fault for fault in faults if not ids or fault.id in ids]


def misplaced(root: Path = ROOT) -> list[str]:
    """The faults whose text stands in its file not once, but never or several times."""
    return [
        f"{fault.id}: {count} times in {fault.file}"
        for fault in load()
        if fault.file
        if (count := (root / fault.file).read_text("utf-8").count(fault.find)) != 1
    ]
