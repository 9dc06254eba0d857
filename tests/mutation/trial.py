"""One trial: a fault is planted in a copy of the project, and the tests are run.

From the cheap to the dear, up to the first that fails:

1. dbt builds what the fault touches, on a company whose marts were right, with all unit
    tests, contracts and data tests of it;
2. pytest runs the files that compare marts, or counters, with a second implementation.

Only a failing test catches, or one that warns where it didn't before, if none fails.
What doesn't come to an end, dbt that doesn't start or SQL that isn't valid, leaves the
fault unclear.
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

# The same company and the same "now", whatever the day.
COMPANY = ("--scale", "0.02", "--seed", "1", "--until", "2026-06-30")
NOW = '{"as_of": "2026-06-30T23:59:59Z"}'

# A step that takes longer hangs.
STEP_SECONDS = 1200

NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", ".postgres", ".env", "target", "logs", "node_modules"),
    *("__pycache__", ".*_cache", ".hypothesis"),
)

# The macro file of the engine that the models call.
CALENDAR = "packages/exact/macros/time.sql"

# Who can tell of a fault in these files, the cheaper first. Tests that notice any
# change of a file, whatever it means, are none of them, nor is a test of tests.
USAGE, MONEY = "test_marts_usage.py", "test_marts_money.py"
REFRESHES = ("test_refresh_exact.py", "test_refresh_weak_spots.py")
NOT_ASKED = "notice_a_wrong_row"
PYTESTS = {
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
    """The test files that can tell of a fault in a file."""
    return next(files for pattern, files in PYTESTS.items() if fnmatch(file, pattern))


# What a contract says when it is broken; what a model says of its changes is one too.
BROKEN_CONTRACT = re.compile(
    "has an enforced contract that failed|violates not-null constraint"
    "|contains null values|the config of .* gives (?:other rows of|another) "
)
# How dbt names a failed test within another program's output.
FAILED_IN_DBT = re.compile(r"Failure in (?:unit_)?test (\w+)")
# The same of a model, with all that is said before the next failure.
MODEL_FAILED_IN_DBT = re.compile(r"Failure in model (\w+)((?:(?!Failure in ).)*)", re.S)


# Each dbt is a process of its own, forked from one that has already read dbt's modules.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__, "dbt.cli.main"])


class Unclear(Exception):
    """A trial that came to no verdict."""


@dataclass(frozen=True)
class Result:
    """What dbt says of one node."""

    name: str
    status: str
    message: str
    is_unit: bool


@dataclass(frozen=True)
class Catch:
    """The first test that failed."""

    by: str
    """Its sort, one of SORTS."""
    test: str


SORTS = (
    *("unit test", "data test", "warning", "contract", "check of a refresh"),
    "pytest",
)


@dataclass(frozen=True)
class Verdict:
    """What became of a fault."""

    outcome: str
    """caught, survived or unclear."""
    by: str
    """The sort of test."""
    test: str
    """Its name, or why it is unclear."""
    seconds: float


@dataclass
class Bench:
    """A copy of the project, and a database to be damaged."""

    root: Path
    server_url: str
    name: str
    """Of the database: with another one dbt would parse the whole project anew."""
    template: str = ""
    """A database whose marts are right."""
    warnings: set[str] = field(default_factory=set)
    """Tests that warn of the undamaged company."""
    sound_files: set[str] = field(default_factory=set)
    """Test files that pass without a fault."""
    variables: str = NOW
    """Those of dbt, as JSON. The marts are as of one time."""
    files_for: Callable[[str], Sequence[str]] = pytests_of
    """The test files that can tell of a fault in a file."""

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
                raise Unclear(f"without any fault {catch.test} fails: mend that first")
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
                raise Unclear(f"without any fault {catch.test} fails: mend that first")
            self.sound_files.update(left)

    # --- With one ---------------------------------------------------------------------

    def try_fault(self, fault: Fault) -> Verdict:
        """Plant a fault, and tell which test fails first."""
        started = time.monotonic()
        try:
            if fault.statement:
                catch = self._damage(fault)
            else:
                catch = self._try_dbt(fault)
                # A warning may be luck: it counts where nothing fails.
                if catch is None or catch.by == "warning":
                    catch = self._try_pytest(fault) or catch
            outcome = "caught" if catch else "survived"
        except (Unclear, subprocess.TimeoutExpired, psycopg2.Error) as error:
            outcome, catch = "unclear", Catch("", " ".join(str(error).split()))
        catch = catch or Catch("", fault.survives)
        return Verdict(
            outcome, catch.by, catch.test, round(time.monotonic() - started, 1)
        )

    def _damage(self, fault: Fault) -> Catch | None:
        with new_database(
            self.server_url, template=self.template, name=self.name
        ) as database:
            try:
                if not self._execute(database, fault.statement):
                    raise Unclear("the statement damages nothing")
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
            # What a snapshot kept is not what the fault makes of it.
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
        """What dbt says of each node, up to the first failure."""
        results = self._dbt_once(database, *arguments, "--fail-fast")
        statuses = {result.status for result in results}
        # dbt may stop for a failure before it has noted it, and tells of none.
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
            told: list[Result] | str = receiver.recv()
            process.join(60)
        except EOFError as error:
            raise Unclear("dbt came to an untimely end") from error
        finally:
            process.kill()
            process.join()
        if isinstance(told, str):
            raise Unclear(f"dbt did not get so far: {told}")
        return told

    def _catch(self, results: list[Result]) -> Catch | None:
        """The failed test among dbt's results; a failure stops other nodes midway."""
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
            # A fixture that builds marts, and whose data tests or contracts fail.
            if failed := FAILED_IN_DBT.search(result.stdout):
                return Catch("data test", failed[1])
            for model, message in MODEL_FAILED_IN_DBT.findall(result.stdout):
                if BROKEN_CONTRACT.search(message):
                    return Catch("contract", model)
        raise Unclear(f"{tests[0]} did not get so far: {result.stdout[-1500:]}")


def _what_to_build(file: str) -> tuple[str, ...] | None:
    """dbt's selection of what a file bears on; none where dbt doesn't build it."""
    if file.startswith(("models/", "seeds/")):
        return ("--select", f"{Path(file).stem}+")
    if file.startswith("macros/") and not file.startswith("macros/adapter/"):
        return ()
    if file == CALENDAR:
        return ()
    return None


def _what_to_test(statement: str) -> tuple[str, ...]:
    """dbt's selection of the data tests that a damaged table bears on."""
    damaged = re.search(r"(?:insert into|update|delete from) ([\w.]+)", statement)
    assert damaged, statement
    name = damaged[1]
    mart = name.removeprefix("analytics.")
    selected = f"source:saas.{name}+" if mart == name else mart
    return ("--select", selected, "--exclude-resource-type", "unit_test")


def run_dbt(
    arguments: list[str], variables: dict[str, str], root: Path, sender: Connection
) -> None:
    """Run dbt in a process of its own, and send what it says of each node.

    A text in place of that says why it did not get so far.
    """
    from dbt.cli.main import dbtRunner

    os.chdir(root)
    os.environ.clear()
    os.environ.update(variables)
    os.environ.update(dbt_environment.variables())
    # Files that nobody reads take much of the time.
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
    """What a node is called: a unit test with its model."""
    parts = unique_id.split(".")
    return ".".join(parts[2:]) if parts[0] == "unit_test" else parts[2]
