"""The faults, as faults.yml lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from saas_analytics.errors import UserError
from tests.python.support import ROOT

FAULTS = Path(__file__).with_name("faults.yml")
DATA = "data"


@dataclass(frozen=True)
class Fault:
    """One mistake in the project or in the data."""

    means: str
    """The wrong figure or behavior that it causes: the fault's name."""

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

    def found(self, text: str) -> list[str]:
        """The places of `find` in a file's text, each as it is written there."""
        pattern = re.sub(r"(?:\\\s|\s)+", r"\\s+", re.escape(self.find))
        return re.findall(pattern, text)


PLACES = (
    *("models/staging", "models/intermediate", "models/marts", "seeds"),
    *("packages/exact", "macros", "bootstrap/migrations", "bootstrap"),
    "saas_analytics",
    "tests/integrity",
    *("data of the marts", "data of the source"),
)


def load() -> list[Fault]:
    """All faults, in the order of the file."""
    files: dict[str, dict[str, dict[str, str]]]
    files = yaml.safe_load(FAULTS.read_text(encoding="utf-8"))
    return [
        Fault(means, file="" if file == DATA else file, **entry)
        for file, entries in files.items()
        for means, entry in entries.items()
    ]


def chosen(texts: tuple[str, ...]) -> list[Fault]:
    """The faults that have one of these texts in their name, all by default.

    Raises:
        UserError: no fault has one of them.
    """
    faults = load()
    for text in texts:
        if not any(text in fault.means for fault in faults):
            raise UserError(f"no fault is named {text!r}: --list shows all")
    return [
        fault
        for fault in faults
        if not texts or any(text in fault.means for text in texts)
    ]


def misplaced(root: Path = ROOT) -> list[str]:
    """The faults whose text does not occur exactly once in its file."""
    return [
        f"{fault.means}: {count} times in {fault.file}"
        for fault in load()
        if fault.file
        if (count := len(fault.found((root / fault.file).read_text("utf-8")))) != 1
    ]
