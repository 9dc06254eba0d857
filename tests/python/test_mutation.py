"""The mutation check itself: its faults are up to date, and it tells caught from not.

`make mutation` plants them all; here one of each kind of verdict is enough.
"""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.mutation import faults
from tests.mutation.faults import Fault
from tests.mutation.trial import PYTESTS, Bench
from tests.python.support import ROOT, DbtProject

MART = "models/marts/operations/fct_errors_daily.sql"
TESTS = "tests/python/test_small.py"
COUNTED = "count(distinct user_id) as affected_users"


def test_every_fault_stands_in_its_file_exactly_once() -> None:
    assert faults.misplaced() == []


def test_every_file_with_a_fault_has_tests_that_may_notice_it() -> None:
    for file in {fault.file for fault in faults.load() if fault.file}:
        assert any(fnmatch(file, pattern) for pattern in PYTESTS), (
            f"no test is known for {file}: add it to PYTESTS in tests/mutation/trial.py"
        )
    for tests in PYTESTS.values():
        for test in tests:
            assert (ROOT / "tests/python" / test).is_file(), test


def test_every_mart_has_a_fault_and_every_fault_its_own_name() -> None:
    listed = faults.load()
    marts = {str(path.relative_to(ROOT)) for path in ROOT.glob("models/marts/*/*.sql")}
    assert len(marts) >= 24
    assert [
        f"{mart} has no fault: add one to tests/mutation/faults.yml, a wrong version "
        "that a test must notice"
        for mart in sorted(marts - {str(fault.file) for fault in listed})
    ] == []
    assert len({fault.id for fault in listed}) == len(listed) >= 40
    for fault in listed:
        assert bool(fault.statement) != bool(fault.file and fault.find), fault.id
        assert fault.find != fault.put or fault.statement, fault.id


def planted(file: str, find: str, put: str) -> Fault:
    return Fault("a_fault", "a kind", "Its meaning.", file=file, find=find, put=put)


@pytest.fixture(scope="module")
def bench(
    server_url: str, marts_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Bench:
    """A small project and a company with its marts; of test files, one."""
    folder = tmp_path_factory.mktemp("mutation")
    root = DbtProject.copy(folder, domains=("operations", "usage")).root
    (root / TESTS).parent.mkdir()
    (root / TESTS).write_text("def test_of_two() -> None:\n    assert 1 + 1 == 2\n")
    name = f"saas_mutant_{os.getpid()}"
    return Bench(
        root,
        server_url,
        name,
        marts_template,
        variables="{}",
        files_for=lambda _: [Path(TESTS).name],
    )


def test_only_a_test_of_dbt_that_fails_catches(bench: Bench) -> None:
    caught = bench.try_fault(planted(MART, COUNTED, "count(user_id) as affected_users"))
    assert (caught.outcome, caught.by) == ("caught", "unit test")
    assert caught.test.startswith("fct_errors_daily.")

    harmless = bench.try_fault(planted(MART, "count(*) as", "count(1) as"))
    assert (harmless.outcome, harmless.by) == ("survived", "")

    not_sql = bench.try_fault(planted(MART, COUNTED, "count(distinct as"))
    assert (not_sql.outcome, not_sql.by) == ("unclear", "")
    assert "syntax error" in not_sql.test


def test_only_a_test_of_pytest_that_fails_catches(bench: Bench) -> None:
    caught = bench.try_fault(planted(TESTS, "1 + 1", "1 + 2"))
    assert (caught.outcome, caught.by) == ("caught", "pytest")
    assert caught.test.endswith("::test_of_two")

    for put in ("import nothing_of_this_name  # ", "def fixture_"):
        not_run = bench.try_fault(planted(TESTS, "def test_", put))
        assert (not_run.outcome, not_run.by) == ("unclear", "")


def test_damaged_data_are_caught_and_harmless_changes_are_not(bench: Bench) -> None:
    change = "update analytics.fct_errors_daily set errors = {}"
    for put, outcome in (("errors + 1", "caught"), ("errors", "survived")):
        statement = change.format(put)
        verdict = bench.try_fault(
            Fault("a_fault", "a kind", "Its meaning.", statement=statement)
        )
        assert verdict.outcome == outcome, verdict
