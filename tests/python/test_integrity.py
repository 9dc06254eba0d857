"""What the schema must accept, and is wrong: each case is reported, and alone.

A small company without any is built once. Each entry of findings.sql changes it in a
transaction that is rolled back, in which every finding is computed, as dbt compiled it.
"""

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from bootstrap.retype import retype
from saas_analytics.database import connected
from saas_analytics.settings import load as load_settings
from tests.python.legitimate_companies import LegitimateCompany
from tests.python.rows import Rows, identifier, named
from tests.python.support import ROOT, Database, dbt

FOLDER = Path(__file__).parent
FILES = {file.stem: file for file in (ROOT / "tests" / "integrity").rglob("*.sql")}
SILENT = "silent"


@dataclass(frozen=True)
class Case:
    """A change of the company, and what the finding reports of it.

    Of sessions_of_days, which has no ids, the offender is the session's name.
    """

    finding: str
    reason: str
    """Or SILENT."""
    names: str
    """Of the offenders, or what is legitimate about the change."""
    statements: str

    def __str__(self) -> str:
        return f"{self.finding}-{self.reason}-{self.names}".replace(" ", "_")

    def expected(self) -> dict[str, list[tuple[str, str]]]:
        """The offenders and the reason, by finding."""
        if self.reason == SILENT:
            return {}
        names = self.names.split()
        ids = names if self.finding == "sessions_of_days" else map(identifier, names)
        return {self.finding: sorted((each, self.reason) for each in ids)}


def read_cases() -> Iterator[Case]:
    """The entries of findings.sql."""
    _, *parts = (FOLDER / "findings.sql").read_text().split("-- finding ")
    for part in parts:
        finding, _, entries = part.partition("\n")
        _, *texts = re.split(r"^-- ", entries, flags=re.MULTILINE)
        for text in texts:
            title, _, statements = text.partition("\n")
            reason, _, names = title.partition(": ")
            yield Case(finding, reason, names, statements)


CASES = list(read_cases())


@dataclass
class Company:
    """The company, what dbt made of it, and where dbt left its artefacts."""

    database: Database
    target: Path
    results: list[dict[str, Any]]
    """Of the build, which later commands of dbt do not overwrite."""

    @cached_property
    def manifest(self) -> Any:
        return json.loads((self.target / "manifest.json").read_text())

    @cached_property
    def tests(self) -> dict[str, dict[str, Any]]:
        """The tests of tests/integrity by name, as dbt knows them."""
        return {
            node["name"]: node
            for node in self.manifest["nodes"].values()
            if node["original_file_path"].startswith("tests/integrity/")
        }

    @cached_property
    def compiled(self) -> dict[str, str]:
        """Their SQL."""
        folder = self.target / "compiled" / "saas_analytics" / "tests" / "integrity"
        return {file.stem: file.read_text() for file in folder.rglob("*.sql")}


@pytest.fixture(scope="module")
def company(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Company:
    """The company without a wrong, and whatever the tests read of it."""
    module_database.execute(named((FOLDER / "findings_company.sql").read_text()))
    # A name can be too long for the marts only where the application widened it.
    configuration = load_settings({"DATABASE_URL": module_database.url})
    with connected(configuration) as connection:
        retype(connection, configuration, "audit_logs", "action", "text")
    target = tmp_path_factory.mktemp("target")
    result = dbt(
        *("build", "--indirect-selection", "empty"),
        *("--select", "staging,resource_type:model", "integrity"),
        *("+fct_feature_usage", "+dim_users", "+fct_affiliate_earnings"),
        *("+int_mrr__by_subscription", "subscriptions_history", "+dim_currencies"),
        "assert_affiliate_ledger_is_reconciled",
        database=module_database,
        target=target,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    results = json.loads((target / "run_results.json").read_text())["results"]
    return Company(module_database, target, results)


def test_a_company_without_wrongs_has_no_offender(company: Company) -> None:
    failures = {
        result["unique_id"].split(".")[2]: (result["status"], result["failures"])
        for result in company.results
        if result["unique_id"].startswith("test.")
    }
    assert failures.pop("assert_affiliate_ledger_is_reconciled") == ("pass", 0)
    assert failures == dict.fromkeys(FILES, ("pass", 0))


def compute_spans(cursor: Cursor) -> None:
    """Compute the spans of recurring revenue from what the transaction has written."""
    for model in ("access_end", "paid_through", "mrr_span", "mrr"):
        cursor.execute(
            "select relation, definition from analytics_refresh.models"
            " where model = %s",
            (f"int_{model}__by_subscription",),
        )
        ((relation, definition),) = cursor.fetchall()
        cursor.execute(f"delete from {relation}")
        cursor.execute(f"insert into {relation} {definition}")


@pytest.fixture(scope="module")
def connection(company: Company) -> Iterator[Connection]:
    """A connection that has planned every finding."""
    with closing(company.database.connect()) as made:
        with made, made.cursor() as cursor:
            for finding, query in company.compiled.items():
                cursor.execute(f"prepare {finding} as {query}")
        yield made


@contextmanager
def planted(connection: Connection, statements: str) -> Iterator[Cursor]:
    """A cursor that sees what the statements did, which is gone afterwards."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(named(statements))
            yield cursor
    finally:
        connection.rollback()


def findings(cursor: Cursor) -> dict[str, list[tuple[str, str]]]:
    """Row id and reason of whatever is reported, by finding."""
    found = {}
    for finding in FILES:
        cursor.execute(f"execute {finding}")
        if rows := cursor.fetchall():
            columns = [column.name for column in cursor.description or ()]
            reason = columns.index("reason")
            found[finding] = sorted((row[0], row[reason]) for row in rows)
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_wrong_is_reported_by_its_own_finding_and_nothing_else_is(
    connection: Connection, case: Case
) -> None:
    with planted(connection, case.statements) as cursor:
        assert findings(cursor) == case.expected()


# Commissions in two currencies, and one payout in a third for both.
CONVERTED = """
select new_commission({in_yen}, {partner}, {of_ada}, null, 'JPY');
select new_commission({in_euro}, {partner}, {of_ada}, null, 'EUR');
update affiliate_commissions set status = 'paid', payout_id = {in_pounds}
where id in ({in_yen}, {in_euro});
select new_payout({in_pounds}, {partner}, 250, 'GBP');
"""


def unreconciled(company: Company, cursor: Cursor) -> dict[str, int]:
    """What the test of the ledger reports by currency, on earnings made again."""
    compiled = company.target / "compiled" / "saas_analytics"
    models = compiled / "models"
    for schema, folder, model in (
        (
            "analytics_intermediate",
            "intermediate",
            "int_ledger__by_month_affiliate_type_status_currency",
        ),
        ("analytics", "marts", "fct_affiliate_earnings"),
    ):
        query = (models / folder / "affiliates" / f"{model}.sql").read_text()
        cursor.execute(f"drop table {schema}.{model}")
        cursor.execute(f"create table {schema}.{model} as {query}")
    test = "tests/singular/affiliates/assert_affiliate_ledger_is_reconciled.sql"
    cursor.execute((compiled / test).read_text())
    columns = [column.name for column in cursor.description or ()]
    currency, balance = (columns.index(c) for c in ("currency", "unreconciled_cents"))
    return {row[currency]: int(row[balance]) for row in cursor.fetchall()}


def test_a_payout_in_another_currency_is_reported_as_that_and_not_as_a_balance(
    company: Company, connection: Connection
) -> None:
    with planted(connection, CONVERTED) as cursor:
        assert unreconciled(company, cursor) == {}
        reported = findings(cursor)["payouts_in_another_currency"]
        assert [row for row, _ in reported] == [identifier("in_pounds")] * 2

    more = "select new_payout({without_commissions}, {partner}, 70, 'JPY')"
    with planted(connection, CONVERTED + more) as cursor:
        assert unreconciled(company, cursor) == {"JPY": 100 - 70}


@settings(max_examples=40, deadline=None)
@given(luck=st.randoms(use_true_random=False))
def test_a_company_of_legitimate_oddities_has_no_finding(
    connection: Connection, luck: random.Random
) -> None:
    with planted(connection, "select") as cursor:
        LegitimateCompany(Rows(cursor), luck).write()
        compute_spans(cursor)
        assert not findings(cursor)


HISTORY = """
create schema analytics_snapshots;
create table analytics_snapshots.subscriptions_history as
select *, updated_at as dbt_valid_from, null::timestamptz as dbt_valid_to
from analytics_staging.stg_saas__subscriptions
"""


def test_the_demo_company_contradicts_itself_only_where_it_means_to(
    company: Company, marts: Database
) -> None:
    marts.execute(HISTORY)
    built, demo = (parse_dsn(each.url)["dbname"] for each in (company.database, marts))
    found = {
        finding
        for finding, query in company.compiled.items()
        if marts.execute(query.replace(f'"{built}"', f'"{demo}"'))
    }
    # Whether a small company has a negative duration depends on its moment.
    assert found - {"durations_out_of_range"} == {"affiliates_in_several_currencies"}


def test_who_owns_a_team_on_their_own_license_can_not_be_deleted(
    company: Company,
) -> None:
    """Why the test of closed accounts is there."""
    with pytest.raises(psycopg2.IntegrityError, match="teams_owner_id_fkey"):
        company.database.execute(named("delete from users where id = {ada}"))


def reasons(sql: str) -> Iterable[str]:
    """What a test may give as reason; of one that is put together, its beginning."""
    return re.findall(
        r"""(?:then|else|,|\n)\s+'(\w+)'(?=\s+(?:when|end|else|as\ reason|\|\|))""",
        sql,
    )


def test_every_reason_has_a_case_and_every_finding_one_that_is_silent() -> None:
    assert {case.finding for case in CASES} == set(FILES)
    for finding, file in FILES.items():
        tried = [case.reason for case in CASES if case.finding == finding]
        assert SILENT in tried, finding
        for reason in reasons(file.read_text()):
            assert any(each.startswith(reason) for each in tried), (finding, reason)


def test_every_test_says_what_is_wrong_how_bad_it_is_and_who_acts(
    company: Company,
) -> None:
    tests = company.tests
    assert set(tests) == set(FILES)
    owners = {group["owner"]["name"] for group in company.manifest["groups"].values()}
    for name, test in tests.items():
        config = test["config"]
        assert test["description"].startswith("One row per "), name
        assert config["severity"] in ("warn", "error"), name
        assert config["meta"]["owner"] in owners, name
        assert config["store_failures"], name


def test_the_documentation_lists_every_test_as_it_is(company: Company) -> None:
    page = (ROOT / "docs" / "reference" / "findings.md").read_text()
    listed = {
        match["name"]: (match["severity"], match["owner"])
        for match in re.finditer(
            r"^\| `(?P<name>\w+)` \|[^|]+\| (?P<severity>warn|error)"
            r" \| (?P<owner>[^|]+) \|[^|]+\|$",
            page,
            re.MULTILINE,
        )
    }
    assert listed == {
        name: (test["config"]["severity"], test["config"]["meta"]["owner"])
        for name, test in company.tests.items()
    }


def test_no_wrong_holds_up_a_mart(company: Company) -> None:
    """dbt skips a model when a test fails whose parents all lie before the model."""
    manifest = company.manifest
    parents = manifest["parent_map"]

    def ancestors(node: str) -> set[str]:
        found: set[str] = set()
        waiting = list(parents[node])
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += parents[each]
        return found

    before = {
        node: ancestors(node)
        for node in manifest["nodes"]
        if node.startswith(("model.", "snapshot."))
    }
    for name, test in company.tests.items():
        reads = {each for each in parents[test["unique_id"]] if "source." not in each}
        held_up = [node for node, lies_before in before.items() if reads <= lies_before]
        assert not held_up, (name, held_up)


def test_a_build_tells_of_warnings_and_lists_the_offenders(company: Company) -> None:
    """It is what `make demo` builds by; a warning doesn't fail it."""
    refer = "update affiliate_referrals set status = '{}' where id = {}"
    company.database.execute(refer.format("qualified", named("{of_cy}")))
    # One that a former version stored, one that others use, and one of theirs.
    company.database.execute(
        "create table analytics_test_failures.primary_key_dim_users_user_id ();"
        "create table analytics_test_failures.primary_key_dim_licenses_license_id ();"
        "create view used as table "
        "analytics_test_failures.primary_key_dim_licenses_license_id;"
        "create table analytics_test_failures.theirs ()"
    )
    try:
        result = subprocess.run(
            [
                *(sys.executable, "-m", "saas_analytics", "build"),
                *("-s", "self_referrals"),
            ],
            cwd=ROOT,
            env=company.database.environment(
                DBT_TARGET_PATH=str(company.target),
                DBT_LOG_PATH=str(company.target),
                PYTHONPATH=str(ROOT),
            ),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        listed = company.database.execute(
            "select referral_id::text, reason"
            " from analytics_test_failures.self_referrals"
        )
        kept = company.database.execute(
            "select relname::text from pg_class where relname ~ '^prim|theirs' "
            "and relnamespace = 'analytics_test_failures'::regnamespace order by 1"
        )
    finally:
        company.database.execute(
            "drop view used; drop table analytics_test_failures.theirs, "
            "analytics_test_failures.primary_key_dim_licenses_license_id"
        )
        company.database.execute(refer.format("cancelled", named("{of_cy}")))
    assert result.returncode == 0, result.stdout + result.stderr
    assert kept == [("primary_key_dim_licenses_license_id",), ("theirs",)]
    assert "1 warn\n" in result.stdout
    assert "docs/reference/findings.md" in result.stdout
    assert (
        "self_referrals: 1 row, `select * from analytics_test_failures.self_referrals`"
        in result.stdout
    )
    assert f"Log: {company.target / 'dbt.log'}\n" in result.stdout
    assert listed == [(identifier("of_cy"), "own_account")]
