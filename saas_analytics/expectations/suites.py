"""Suites: who promises what. They stand beside the models, as `*_expectations.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Literal

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from saas_analytics import project
from saas_analytics.errors import UserError
from saas_analytics.expectations.looks import Look

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
    folder = project.root() / "models"
    files = {
        file.stem.removesuffix(ENDING): file
        for file in sorted(folder.rglob(f"*{ENDING}.py"))
    }
    for name in names:
        if name not in files:
            raise UserError(f"there is no suite {name}: name one of {', '.join(files)}")
    suites = {}
    for name, file in files.items():
        if not names or name in names:
            suites[name] = _suite_of(file)
    return suites


def _suite_of(file: Path) -> Suite:
    """The suite that a file defines as SUITE."""
    found = spec_from_file_location(file.stem, file)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    suite = module.SUITE
    assert isinstance(suite, Suite), file
    return suite
