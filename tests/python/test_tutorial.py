"""The tutorial's commands, run in their order on a small company."""

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from tests.python.support import ROOT, Database

TUTORIAL = ROOT / "docs" / "tutorial" / "first-figures.md"
# The steps that need a clone of their own: `make demo` and `make down`.
SKIPPED = {"make demo", "make down"}


def steps() -> list[str]:
    """The commands of the tutorial, one text for each block."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text(), re.M | re.S)
    return [block.strip() for block in blocks if block.strip() not in SKIPPED]


def run_step(step: str, marts: Database) -> str:
    """Run one block as a shell does, with the tests' Python; return what it prints."""
    saas = f"{sys.executable} -m saas_analytics"
    result = subprocess.run(
        step.replace(".venv/bin/saas", saas).replace("make refresh", f"{saas} refresh"),
        shell=True,
        cwd=ROOT,
        env=marts.environment(
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", PAGER="cat"
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, f"{step}\n{result.stderr}"
    return result.stdout


def closing(printed: str) -> dict[str, Decimal]:
    """The closing revenue of each month in a table that psql printed."""
    rows = re.findall(r"^ (\d{4}-\d\d-\d\d) \| +([\d.]+)$", printed, re.M)
    return {month: Decimal(figure) for month, figure in rows}


def test_the_tutorial_shows_a_changed_row_after_a_refresh(marts: Database) -> None:
    query, update, refresh, runs, question = steps()
    marts.execute(
        "update subscriptions set created_at = now() - interval '1 year', "
        "trial_start = null, trial_end = null where currency = 'USD'"
    )
    run_step(refresh, marts)

    before = closing(run_step(query, marts))
    assert "UPDATE 1" in run_step(update, marts)
    assert closing(run_step(query, marts)) == before
    assert "fct_mrr_monthly" in run_step(refresh, marts)
    after = closing(run_step(query, marts))
    assert len(before) == 3
    assert after == {month: figure + 100 for month, figure in before.items()}

    assert "fct_mrr_monthly" in run_step(runs, marts)
    assert "features_per_license" in run_step(question, marts)
