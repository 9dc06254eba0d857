"""Suites: who promises what. They stand beside the models, as `*_expectations.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from bootstrap.errors import UserError
from bootstrap.settings import ROOT
from expectations.looks import Look

ENDING = "_expectations"

Severity = Literal["warn", "error"]


@dataclass(frozen=True)
class Promise:
    """One thing that somebody counts on."""

    says: str
    """In the words of the business, a sentence without its full stop."""

    look: Look
    """What is looked at."""

    expect: Expectation
    """What Great Expectations has to find there."""

    severity: Severity
    """Whether a broken promise fails the run or is only told."""


@dataclass(frozen=True)
class Suite:
    """The promises of one folder of models, and who acts when one is broken."""

    owner: str
    promises: Sequence[Promise]


def as_usual() -> Expectation:
    """No row is more than four times as far from usual as rows usually are."""
    return gxe.ExpectColumnValuesToBeBetween(
        column="deviation", min_value=-4, max_value=4
    )


def load(names: Sequence[str] = ()) -> dict[str, Suite]:
    """The suites by their names, all or those that are named.

    Raises:
        UserError: there is no suite of that name.
    """
    files = {
        file.stem.removesuffix(ENDING): file
        for file in sorted((ROOT / "models").rglob(f"*{ENDING}.py"))
    }
    for name in names:
        if name not in files:
            raise UserError(f"there is no suite {name}: name one of {', '.join(files)}")
    suites = {}
    for name, file in files.items():
        if not names or name in names:
            parts = file.relative_to(ROOT).with_suffix("").parts
            suites[name] = import_module(".".join(parts)).SUITE
    return suites
