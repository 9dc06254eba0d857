"""The jobs of the workflow and .ci/run do the same steps."""

from __future__ import annotations

import re

import yaml

from tests.python.support import ROOT
from tests.versions import programs

JOBS = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]


def test_the_workflow_and_ci_run_have_the_same_steps() -> None:
    of_run = re.findall(r"^step (.+)$", (ROOT / ".ci/run").read_text("utf-8"), re.M)
    of_jobs = {
        step["run"].partition(" ARGS=")[0]
        for job in JOBS.values()
        for step in job["steps"]
        if "run" in step
    }
    assert {step.partition(" ARGS=")[0] for step in of_run} == of_jobs


def test_the_workflow_covers_every_python_and_every_server() -> None:
    classifiers = re.findall(
        r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8")
    )
    assert JOBS["test"]["strategy"]["matrix"]["python"] == classifiers
    others = JOBS["versions"]["strategy"]["matrix"]["postgres"]
    assert (*others, programs.EMBEDDED) == programs.MAJORS


def test_no_job_starts_before_lint_passed() -> None:
    others = {name: job for name, job in JOBS.items() if name != "lint"}
    assert {job["needs"] for job in others.values()} == {"lint"}
