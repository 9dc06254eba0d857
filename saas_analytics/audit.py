"""The command `saas audit`: dbt-bouncer, dbt-score and dbt-coverage on this project.

The rules of dbt-bouncer are in dbt-bouncer.yml, those of dbt-score in pyproject.toml,
those of dbt-coverage here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from saas_analytics import project
from saas_analytics.command.server import start
from saas_analytics.errors import DONE, FAILED, UserError

PROGRAMS = Path(sys.executable).parent
TARGET = "target"
"""dbt's folder, below the project's."""


@dataclass(frozen=True)
class Coverage:
    """A share of columns (for unit tests, of models) that is to be covered."""

    kind: str
    least: float
    folder: str = ""
    """Where they are defined; all of them when empty."""


COVERAGE = (
    # Columns of sources, seeds, snapshots, views and intermediate tables too.
    Coverage("doc", 1.0),
    # Only tests that stand with a column are seen. Here one of a table names several of
    # its columns (the grain, counts that fit together); not null is in the contract.
    Coverage("test", 0.27, "models/marts"),
    # Three dimensions take over columns as they are.
    Coverage("unit-test", 0.87, "models/marts"),
)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the virtual environment, keeping what it prints, uncoloured."""
    finished = subprocess.run(
        [PROGRAMS / program, *arguments],
        cwd=project.root(),
        env={**os.environ, "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    finished.stdout = click.unstyle(finished.stdout)
    return finished


def read(name: str) -> dict[str, Any]:
    """What dbt or another program wrote into its folder."""
    path = project.root() / TARGET / name
    contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return contents


def make_artifacts() -> None:
    """Have dbt describe the project, and the database that it was built in.

    Raises:
        UserError: dbt can't, or models are missing in the database.
    """
    made = run("dbt", "--quiet", "docs", "generate", "--target-path", TARGET)
    if made.returncode:
        raise UserError(f"dbt could not describe the project:\n{made.stdout.rstrip()}")
    built = read("catalog.json")["nodes"]
    missing = [
        node["name"]
        for name, node in read("manifest.json")["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot") and name not in built
    ]
    if missing:
        raise UserError(
            f"the database lacks {', '.join(missing[:3])}"
            f"{' …' if len(missing) > 3 else ''}: run `make build` first"
        )


def bouncer() -> tuple[bool, str]:
    """Whether dbt-bouncer has nothing to say against the project, and what it says."""
    answer = run("dbt-bouncer", "run", "--show-all-failures")
    return answer.returncode == 0, answer.stdout


def score() -> tuple[bool, str]:
    """The same of dbt-score."""
    answer = run("dbt-score", "lint", "--manifest", f"{TARGET}/manifest.json")
    return answer.returncode == 0, answer.stdout


def coverage(wanted: Coverage) -> tuple[bool, str]:
    """Whether enough is covered, and how much is."""
    report = f"coverage-{wanted.kind}.json"
    answer = run(
        *("dbt-coverage", "compute", wanted.kind),
        *("--cov-report", f"{TARGET}/{report}"),
        *((f"--model-path-filter={wanted.folder}",) if wanted.folder else ()),
    )
    if answer.returncode:
        return False, answer.stdout
    covered = read(report)
    share = covered["coverage"]
    summary = f"{covered['covered']} of {covered['total']} ({share:.1%})"
    if share >= wanted.least:
        return True, summary
    return False, "\n".join([*uncovered(covered), f"{summary} < {wanted.least:.1%}"])


def uncovered(report: dict[str, Any]) -> Iterator[str]:
    """What dbt-coverage misses, one line for each table."""
    for table in report["tables"]:
        columns = [
            column["name"] for column in table["columns"] if not column["covered"]
        ]
        if columns or not table["covered"]:
            yield f"{table['name']}: {', '.join(columns)}".rstrip(": ")


def report_on(program: str, answer: tuple[bool, str]) -> bool:
    """Print an answer: its last line if the project passed, else all of it."""
    passed, text = answer
    lines = [line for line in text.splitlines() if any(map(str.isalnum, line))]
    if passed:
        print(f"{program:24}  ok      {lines[-1].strip(' │')}")
    else:
        print(f"{program:24}  FAILED", *(f"    {line}" for line in lines), sep="\n")
    return passed


@click.command()
def audit() -> int:
    """Run dbt-bouncer, dbt-score and dbt-coverage, after a build."""
    if not (PROGRAMS / "dbt-bouncer").exists():
        raise UserError(
            "the audit needs the development set on Python 3.11 or later: remove "
            ".venv, then `make audit PYTHON=python3.11`"
        )
    start()
    make_artifacts()
    passed = [report_on("dbt-bouncer", bouncer()), report_on("dbt-score", score())]
    passed += [
        report_on(f"dbt-coverage {wanted.kind}", coverage(wanted))
        for wanted in COVERAGE
    ]
    return DONE if all(passed) else FAILED
