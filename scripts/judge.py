"""Ask the outside judges of dbt projects what they think of this one.

What dbt-bouncer holds the project to is in dbt-bouncer.yml, what dbt-score does in
pyproject.toml, what dbt-coverage does here. Exits with 1 when one of them finds
something or can't be asked.
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

from bootstrap.errors import UserError

PROGRAMS = Path(sys.executable).parent
TARGET = Path("target")


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
        env={**os.environ, "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    finished.stdout = click.unstyle(finished.stdout)
    return finished


def read(name: str) -> dict[str, Any]:
    """What dbt or a judge wrote into the target folder."""
    contents: dict[str, Any] = json.loads((TARGET / name).read_text(encoding="utf-8"))
    return contents


def make_artifacts() -> None:
    """Have dbt describe the project, and the database that it was built in.

    Raises:
        UserError: dbt can't, or models are missing in the database.
    """
    made = run("dbt", "--quiet", "docs", "generate", "--target-path", str(TARGET))
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
    verdict = run("dbt-bouncer", "run", "--show-all-failures")
    return verdict.returncode == 0, verdict.stdout


def score() -> tuple[bool, str]:
    """The same of dbt-score."""
    verdict = run("dbt-score", "lint", "--manifest", str(TARGET / "manifest.json"))
    return verdict.returncode == 0, verdict.stdout


def coverage(wanted: Coverage) -> tuple[bool, str]:
    """Whether enough is covered, and how much is."""
    report = f"coverage-{wanted.kind}.json"
    verdict = run(
        *("dbt-coverage", "compute", wanted.kind),
        *("--cov-report", str(TARGET / report)),
        *((f"--model-path-filter={wanted.folder}",) if wanted.folder else ()),
    )
    if verdict.returncode:
        return False, verdict.stdout
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


def say(judge: str, verdict: tuple[bool, str]) -> bool:
    """Print a verdict: its last line if it is good, else all of it."""
    good, text = verdict
    lines = [line for line in text.splitlines() if any(map(str.isalnum, line))]
    if good:
        print(f"{judge:24}  ok      {lines[-1].strip(' │')}")
    else:
        print(f"{judge:24}  FAILED", *(f"    {line}" for line in lines), sep="\n")
    return good


def main() -> int:
    try:
        if not (PROGRAMS / "dbt-bouncer").exists():
            raise UserError(
                "the judges need Python 3.11 or later: remove .venv, then name one: "
                "make judge PYTHON=python3.11"
            )
        make_artifacts()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    verdicts = [say("dbt-bouncer", bouncer()), say("dbt-score", score())]
    verdicts += [
        say(f"dbt-coverage {wanted.kind}", coverage(wanted)) for wanted in COVERAGE
    ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
