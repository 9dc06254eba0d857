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
    """One mistake in the project or in the data."""

    id: str
    kind: str
    means: str
    """The wrong figure or behavior that it causes."""

    file: str = ""
    """The file in which `find` occurs exactly once, and becomes `put`."""
    find: str = ""
    put: str = ""

    statement: str = ""
    """The SQL that damages a built company, for a fault in the data."""

    first: str = ""
    """The test that most likely catches it, `file.py::name`; it runs first."""

    survives: str = ""
    """The reason why no test can detect it, if there is one."""

    @property
    def place(self) -> str:
        """The damaged part of the project or of the data."""
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
            f"there is no fault {', '.join(sorted(unknown))}: --list shows all"
        )
    return [fault for fault in faults if not ids or fault.id in ids]


def misplaced(root: Path = ROOT) -> list[str]:
    """The faults whose text does not occur exactly once in its file."""
    return [
        f"{fault.id}: its text is {count} times in {fault.file}, not once: edit `find` "
        "in tests/mutation/faults.yml"
        for fault in load()
        if fault.file
        if (count := (root / fault.file).read_text("utf-8").count(fault.find)) != 1
    ]
