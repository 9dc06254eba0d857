"""Suites of checks, and their owners. Each is a file `*_expectations.py` in models/."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Literal

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from saas_analytics import project
from saas_analytics.errors import UserError
from saas_analytics.expectations.datasets import Dataset

ENDING = "_expectations"

Severity = Literal["warn", "error"]


@dataclass(frozen=True)
class Check:
    """An expectation of one dataset."""

    title: str
    """The expectation in business terms: a sentence without its full stop."""

    dataset: Dataset
    expect: Expectation
    """The expectation as Great Expectations evaluates it."""

    severity: Severity
    """`error` if a failed check fails the run, `warn` if the run only reports it."""


@dataclass(frozen=True)
class Suite:
    """The checks of one folder of models, and the team that acts on failures."""

    owner: str
    checks: Sequence[Check]


def as_usual() -> Expectation:
    """Expect that `deviation` is within four usual distances."""
    return gxe.ExpectColumnValuesToBeBetween(
        column="deviation", min_value=-4, max_value=4
    )


def load(names: Sequence[str] = ()) -> dict[str, Suite]:
    """The suites by name: all, or those in `names`.

    Raises:
        UserError: no suite has that name.
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
