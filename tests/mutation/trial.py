"""One trial: a fault is planted in a copy of the project, and the tests are run.

The steps run from cheap to expensive, up to the first failure:

1. dbt builds the affected nodes on a company with correct marts, with all their unit
    tests, contracts and data tests;
2. pytest runs the files that compare marts, or counters, with a second implementation.

A fault is caught by a failing test, or else by a test with a new warning. It is unclear
if a step does not end, dbt does not start, or the SQL is invalid.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg2

from saas_analytics.dbt import environment as dbt_environment
from tests.mutation.faults import Fault
from tests.python.support import (
    ROOT,
    Database,
    DbtProject,
    environment,
    new_database,
)

# The same company and the same "now" on every day.
COMPANY = ("--scale", "0.02", "--seed", "1", "--until", "2026-06-30")
NOW = '{"as_of": "2026-06-30T23:59:59Z"}'

# In seconds: a longer step counts as hanging.
STEP_SECONDS = 1200

NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", ".postgres", ".env", "target", "logs", "node_modules"),
    *("__pycache__", ".*_cache", ".hypothesis"),
)

# The engine's macro file that models call.
CALENDAR = "packages/exact/macros/time.sql"

# The test files that can catch a fault in these files, the cheapest first. Tests that
# fail after any change of a file, and tests of tests, are not among them.
USAGE, MONEY = "test_marts_usage.py", "test_marts_money.py"
REFRESHES = ("test_refresh_exact.py", "test_refresh_weak_spots.py")
NOT_ASKED = "notice_a_wrong_row"
PYTESTS = {
    "models/*/core/*": (MONEY, USAGE, *REFRESHES),
    "models/*/usage/fct_license_seats*": (MONEY, *REFRESHES),
    "models/*/usage/*": (USAGE, *REFRESHES),
    "models/*/adoption/*": (USAGE, *REFRESHES),
    "models/*/affiliates/*": (MONEY, *REFRESHES),
    "models/*/revenue/*": (MONEY, "test_mrr_from_payments.py", *REFRESHES),
    "models/*/operations/*": (MONEY, *REFRESHES),
    "models/staging/stg_saas__us*": (USAGE, *REFRESHES),
    "models/staging/stg_saas__licenses*": (MONEY, USAGE, *REFRESHES),
    "models/staging/*": (MONEY, *REFRESHES),
    "seeds/*": (MONEY, USAGE),
    "macros/affiliate_accounts*": ("test_integrity.py",),
    "macros/names*": ("test_long_names.py", "test_integrity.py"),
    "macros/payments_of_invoices*": ("test_integrity.py",),
    "macros/adapter/snapshot_types.sql": ("test_column_types.py",),
    "macros/adapter/*": ("test_kept_relations.py",),
    "packages/exact/engine/calendar.sql": (
        *("test_as_of.py", "test_zones.py", "test_mart_definitions.py"),
    ),
    "packages/exact/macros/other_builds.sql": ("test_as_of.py", "test_zones.py"),
    "packages/exact/macros/waiting.sql": ("test_kept_relations.py",),
    "packages/exact/macros/replace_relation.sql": (
        *("test_kept_relations.py", "test_mart_definitions.py"),
    ),
    "packages/exact/engine/types.sql": ("test_column_types.py",),
    CALENDAR: (MONEY, USAGE, *REFRESHES),
    "packages/exact/*": (
        *REFRESHES,
        "test_run_history.py",
        *("test_mart_definitions.py", "test_source_ddl.py", "test_user_models.py"),
    ),
    "macros/*": (MONEY, USAGE, *REFRESHES),
    "bootstrap/migrations/001*": ("test_planted_code.py", "test_wide_amounts.py"),
    "bootstrap/migrations/002*": ("test_affiliate_counters.py", "test_wide_amounts.py"),
    "bootstrap/migrations/003*": ("test_event_partitions.py",),
    "bootstrap/migrations/004*": (
        *("test_change_capture.py", "test_capture_columns.py", "test_source_ddl.py"),
        *REFRESHES,
    ),
    "bootstrap/migrations/005*": ("test_erasure_is_final.py",),
    "bootstrap/migrations/006*": ("test_name_indexes.py", "test_long_names.py"),
    "bootstrap/migrations/00[789]*": ("test_usage_aggregates.py",),
    "bootstrap/adopt.py": ("test_adopt_refusals.py",),
    "bootstrap/schema_differences.sql": ("test_adopt_refusals.py",),
    "bootstrap/migrations/env.py": ("test_rollback.py",),
    "bootstrap/migrate/*": ("test_roles.py",),
    "bootstrap/name_indexes.py": ("test_name_indexes.py",),
    "bootstrap/erase/mixing.py": ("test_erasure_is_final.py", "test_erase_user.py"),
    "bootstrap/erase/*": ("test_erase_user.py", "test_erasure_is_final.py"),
    "bootstrap/columns.py": ("test_capture_columns.py", "test_roles.py"),
    "bootstrap/retype.py": ("test_column_types.py",),
    "saas_analytics/command/server.py": ("test_security.py",),
    "saas_analytics/database/connections.py": (
        *("test_connections.py", "test_poolers.py"),
    ),
    "saas_analytics/database/limits.py": ("test_run_limits.py",),
    "saas_analytics/database/locks.py": ("test_migrations.py",),
    "saas_analytics/database/trust.py": ("test_planted_code.py",),
    "saas_analytics/dbt/environment.py": (
        *("test_planted_code.py", "test_saas_command.py"),
    ),
    "saas_analytics/hook.py": ("test_saas_command.py",),
    "saas_analytics/marts_owner.py": ("test_marts_owner.py",),
    "saas_analytics/output.py": ("test_security.py",),
    "saas_analytics/settings.py": ("test_connections.py",),
    "saas_analytics/tour.py": ("test_tour.py",),
    "tests/integrity/*": ("test_integrity.py",),
}


def pytests_of(file: str) -> Sequence[str]:
    """The test files that can catch a fault in a file."""
    return next(files for pattern, files in PYTESTS.items() if fnmatch(file, pattern))


# Messages of violated contracts, including those of a model's declared changes.
BROKEN_CONTRACT = re.compile(
    "has an enforced contract that failed|violates not-null constraint"
    "|contains null values|the config of .* gives (?:other rows of|another) "
)
# How dbt names a failed test within another program's output.
FAILED_IN_DBT = re.compile(r"Failure in (?:unit_)?test (\w+)")
# A failed model in that output, with its message up to the next failure.
MODEL_FAILED_IN_DBT = re.compile(r"Failure in model (\w+)((?:(?!Failure in ).)*)", re.S)


# Each dbt is a separate process, forked from one that has imported dbt.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__, "dbt.cli.main"])


class Unclear(Exception):
    """A trial without a result."""


@dataclass(frozen=True)
class Result:
    """dbt's result of one node."""

    name: str
    status: str
    message: str
    is_unit: bool


@dataclass(frozen=True)
class Catch:
    """The first test that failed."""

    by: str
    """Its kind, one of SORTS."""
    test: str


SORTS = (
    *("unit test", "data test", "warning", "contract", "check of a refresh"),
    "pytest",
)


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial."""

    outcome: str
    """caught, survived or unclear."""
    by: str
    """The kind of the test."""
    test: str
    """Its name, or the reason for `unclear`."""
    seconds: float


@dataclass
class Bench:
    """A copy of the project, and a database to damage."""

    root: Path
    server_url: str
    name: str
    """The URL of the database. With another one dbt would parse the project again."""
    template: str = ""
    """A database with correct marts."""
    warnings: set[str] = field(default_factory=set)
    """Tests with a warning on the undamaged company."""
    sound_files: set[str] = field(default_factory=set)
    """Test files that pass without a fault."""
    variables: str = NOW
    """dbt's variables, as JSON. The marts are as of one time."""
    files_for: Callable[[str], Sequence[str]] = pytests_of
    """The test files that can catch a fault in a file."""

    @classmethod
    def make(cls, folder: Path, server_url: str, name: str) -> Bench:
        """A bench with a copy of the project as it is in the working tree."""
        root = folder / name
        shutil.copytree(ROOT, root, ignore=NOT_COPIED)
        return cls(root, server_url, name)

    # --- Without a fault --------------------------------------------------------------

    def make_template(self, name: str) -> None:
        """A company with its marts, on which every test passes: the control.

        Raises:
            Unclear: one doesn't.
        """
        with new_database(self.server_url, name=self.name) as database:
            bootstrap = (sys.executable, "-m", "bootstrap")
            self._run(database, *bootstrap, "migrate")
            self._run(database, *bootstrap, "demo", *COMPANY)
            results = self._dbt(database, "build")
            self.warnings = {
                result.name for result in results if result.status == "warn"
            }
            if catch := self._catch(results):
                raise Unclear(
                    f"without any fault {catch.test} fails: repair that first"
                )
            with new_database(
                self.server_url, template=self.name, name=name, keep=True
            ):
                pass
        self.template = name

    def make_sure_that_they_pass(self, *tests: str) -> None:
        """Run test files, or tests, without a fault, once and all together.

        Raises:
            Unclear: one fails.
        """
        if left := sorted(set(tests) - self.sound_files):
            if catch := self._pytest(*left):
                raise Unclear(
                    f"without any fault {catch.test} fails: repair that first"
                )
            self.sound_files.update(left)

    # --- With one ---------------------------------------------------------------------

    def try_fault(self, fault: Fault) -> TrialResult:
        """Plant a fault, and return the first test that fails."""
        started = time.monotonic()
        try:
            if fault.statement:
                catch = self._damage(fault)
            else:
                catch = self._try_dbt(fault)
                # A warning may be a coincidence: it counts only if no test fails.
                if catch is None or catch.by == "warning":
                    catch = self._try_pytest(fault) or catch
            outcome = "caught" if catch else "survived"
        except (Unclear, subprocess.TimeoutExpired, psycopg2.Error) as error:
            outcome, catch = "unclear", Catch("", " ".join(str(error).split()))
        catch = catch or Catch("", fault.survives)
        return TrialResult(
            outcome, catch.by, catch.test, round(time.monotonic() - started, 1)
        )

    def _damage(self, fault: Fault) -> Catch | None:
        with new_database(
            self.server_url, template=self.template, name=self.name
        ) as database:
            try:
                if not self._execute(database, fault.statement):
                    raise Unclear("the statement changes no row")
            except psycopg2.IntegrityError as error:
                return Catch("contract", str(error).splitlines()[0])
            if "analytics." not in fault.statement:
                refreshed = self._run(
                    database, sys.executable, "-m", "refresh", codes=(0, 1)
                )
                if refreshed.returncode == 1:
                    failed = re.search(r"(?m)^error: .* fails (\w+):", refreshed.stderr)
                    if not failed:
                        raise Unclear(refreshed.stderr)
                    return Catch("check of a refresh", failed[1])
            return self._catch(
                self._dbt(database, "test", *_what_to_test(fault.statement))
            )

    @staticmethod
    def _execute(database: Database, statement: str) -> int:
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.rowcount

    def _try_dbt(self, fault: Fault) -> Catch | None:
        selection = _what_to_build(fault.file)
        if selection is None:
            return None
        with (
            self._planted(fault),
            new_database(
                self.server_url, template=self.template, name=self.name
            ) as database,
        ):
            # Rows that the snapshot kept do not show the fault.
            return self._catch(
                self._dbt(
                    database,
                    "build",
                    *selection,
                    *("--exclude-resource-type", "snapshot"),
                )
            )

    def _try_pytest(self, fault: Fault) -> Catch | None:
        likeliest = [fault.first] if fault.first else []
        for file in (*likeliest, *self.files_for(fault.file)):
            self.make_sure_that_they_pass(file)
            with self._planted(fault):
                if catch := self._pytest(file):
                    return catch
        return None

    def _planted(self, fault: Fault) -> AbstractContextManager[None]:
        return DbtProject(self.root).altered(fault.file, {fault.find: fault.put})

    # --- The programs -----------------------------------------------------------------

    def _run(
        self, database: Database, *command: str, codes: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command,
            cwd=self.root,
            env=database.environment(**self._variables()),
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        if result.returncode not in codes:
            shown = " ".join(Path(word).name for word in command[:4])
            raise Unclear(f"{shown} failed: {result.stdout[-500:]}{result.stderr}")
        return result

    def _variables(self) -> dict[str, str]:
        target = str(self.root / "target")
        return {
            # The virtual environment is the project's, the modules are the copy's.
            "PYTHONPATH": str(self.root),
            "DBT_TARGET_PATH": target,
            "DBT_LOG_PATH": target,
        }

    def _dbt(self, database: Database, *arguments: str) -> list[Result]:
        """dbt's results by node, up to the first failure."""
        results = self._dbt_once(database, *arguments, "--fail-fast")
        statuses = {result.status for result in results}
        # dbt may stop after a failure before it has recorded it, and report none.
        if "skipped" in statuses and not statuses & {"fail", "error"}:
            return self._dbt_once(database, *arguments)
        return results

    def _dbt_once(self, database: Database, *arguments: str) -> list[Result]:
        variables = database.environment(**self._variables())
        receiver, sender = FORKS.Pipe(duplex=False)
        process = FORKS.Process(
            target=run_dbt,
            args=([*arguments, "--vars", self.variables], variables, self.root, sender),
        )
        process.start()
        sender.close()
        try:
            if not receiver.poll(STEP_SECONDS):
                raise Unclear(f"dbt took longer than {STEP_SECONDS} s")
            answer: list[Result] | str = receiver.recv()
            process.join(60)
        except EOFError as error:
            raise Unclear("dbt ended without a result") from error
        finally:
            process.kill()
            process.join()
        if isinstance(answer, str):
            raise Unclear(f"dbt failed earlier: {answer}")
        return answer

    def _catch(self, results: list[Result]) -> Catch | None:
        """The failed test among dbt's results; a failure also stops other nodes."""
        for result in results:
            if result.status == "fail":
                return Catch(
                    "unit test" if result.is_unit else "data test", result.name
                )
        broken = [result for result in results if result.status == "error"]
        for result in broken:
            if BROKEN_CONTRACT.search(result.message):
                return Catch("contract", result.name)
        if broken:
            raise Unclear(f"{broken[0].name}: {broken[0].message}")
        for result in results:
            if result.status == "warn" and result.name not in self.warnings:
                return Catch("warning", result.name)
        return None

    def _pytest(self, *tests: str) -> Catch | None:
        report = self.root / "target" / "pytest.xml"
        report.unlink(missing_ok=True)
        result = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "--exitfirst", "--quiet"),
                *("-p", "no:cacheprovider", f"--junitxml={report}"),
                *("-k", f"not {NOT_ASKED}"),
                *(("-n", "2", "--dist", "loadfile") if len(tests) > 1 else ()),
                *(f"tests/python/{test}" for test in tests),
            ],
            cwd=self.root,
            env=environment(PYTHONPATH=str(self.root)),
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        if result.returncode == 0:
            return None
        if result.returncode == 1:
            for case in ET.parse(report).iter("testcase"):
                if case.find("failure") is not None:
                    file = case.get("classname", "").rpartition(".")[2]
                    return Catch("pytest", f"{file}.py::{case.get('name')}")
            # The data tests or contracts of a fixture that builds marts may fail.
            if failed := FAILED_IN_DBT.search(result.stdout):
                return Catch("data test", failed[1])
            for model, message in MODEL_FAILED_IN_DBT.findall(result.stdout):
                if BROKEN_CONTRACT.search(message):
                    return Catch("contract", model)
        raise Unclear(f"{tests[0]} failed earlier: {result.stdout[-1500:]}")


def _what_to_build(file: str) -> tuple[str, ...] | None:
    """dbt's selection of nodes that a file affects; none if dbt doesn't build it."""
    if file.startswith(("models/", "seeds/")):
        return ("--select", f"{Path(file).stem}+")
    if file.startswith("macros/") and not file.startswith("macros/adapter/"):
        return ()
    if file == CALENDAR:
        return ()
    return None


def _what_to_test(statement: str) -> tuple[str, ...]:
    """dbt's selection of the data tests that a damaged table affects."""
    damaged = re.search(r"(?:insert into|update|delete from) ([\w.]+)", statement)
    assert damaged, statement
    name = damaged[1]
    mart = name.removeprefix("analytics.")
    selected = f"source:saas.{name}+" if mart == name else mart
    return ("--select", selected, "--exclude-resource-type", "unit_test")


def run_dbt(
    arguments: list[str], variables: dict[str, str], root: Path, sender: Connection
) -> None:
    """Run dbt in a separate process, and send its result of each node.

    If dbt fails earlier, send a text with the reason.
    """
    from dbt.cli.main import dbtRunner

    os.chdir(root)
    os.environ.clear()
    os.environ.update(variables)
    os.environ.update(dbt_environment.variables())
    # Writing unused files would take much of the time.
    sparing = (
        "--quiet",
        "--no-write-json",
        "--log-level-file=none",
        "--log-level=none",
    )
    outcome = dbtRunner().invoke([*arguments, *sparing])
    results = getattr(outcome.result, "results", None)
    if outcome.exception is not None or results is None:
        sender.send(str(outcome.exception or outcome.result))
        return
    sender.send(
        [
            Result(
                _name_of(result.node.unique_id),
                str(result.status),
                result.message or "",
                result.node.unique_id.startswith("unit_test."),
            )
            for result in results
        ]
    )


def _name_of(unique_id: str) -> str:
    """The name of a node; a unit test has its model's name, too."""
    parts = unique_id.split(".")
    return ".".join(parts[2:]) if parts[0] == "unit_test" else parts[2]
