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
    """The least share of columns (for unit tests, of models) that is covered."""

    kind: str
    least: float
    folder: str = ""
    """The folder of the models; every folder when empty."""


COVERAGE = (
    # This includes columns of sources, seeds, snapshots, views and intermediate tables.
    Coverage("doc", 1.0),
    # dbt-coverage sees only tests of single columns. This project's tests of a table
    # name several columns (the grain, counts that agree). Contracts declare not null.
    Coverage("test", 0.27, "models/marts"),
    # Three dimensions copy columns without a change, and have no unit test.
    Coverage("unit-test", 0.87, "models/marts"),
)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the virtual environment; its captured output has no colors."""
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
    """A JSON file that dbt or another program wrote into dbt's folder."""
    path = project.root() / TARGET / name
    contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return contents


def make_artifacts() -> None:
    """Make dbt write its manifest and its catalog of the database.

    Raises:
        UserError: dbt fails, or models are missing in the database.
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
    """Whether the project passes dbt-bouncer, and the program's output."""
    answer = run("dbt-bouncer", "run", "--show-all-failures")
    return answer.returncode == 0, answer.stdout


def score() -> tuple[bool, str]:
    """Whether the project passes dbt-score, and the program's output."""
    answer = run("dbt-score", "lint", "--manifest", f"{TARGET}/manifest.json")
    return answer.returncode == 0, answer.stdout


def coverage(wanted: Coverage) -> tuple[bool, str]:
    """Whether enough columns are covered, and the share or the uncovered columns."""
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
    """The columns without coverage, one line for each table."""
    for table in report["tables"]:
        columns = [
            column["name"] for column in table["columns"] if not column["covered"]
        ]
        if columns or not table["covered"]:
            yield f"{table['name']}: {', '.join(columns)}".rstrip(": ")


def report_on(program: str, answer: tuple[bool, str]) -> bool:
    """Print an answer: its last line if the project passed, or all lines if not."""
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
            "the audit needs the development requirements on Python 3.11 or later: "
            "remove .venv, then `make audit PYTHON=python3.11`"
        )
    start()
    make_artifacts()
    passed = [report_on("dbt-bouncer", bouncer()), report_on("dbt-score", score())]
    passed += [
        report_on(f"dbt-coverage {wanted.kind}", coverage(wanted))
        for wanted in COVERAGE
    ]
    return DONE if all(passed) else FAILED
