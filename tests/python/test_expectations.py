"""Expectations: correct data passes each check, and a planted fault fails it."""

import html
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from saas_analytics import settings
from saas_analytics.command.main import main
from saas_analytics.expectations.datasets import ByWeekday, Measured, Recorded, Shares
from saas_analytics.refresh import engine
from tests.python.support import ROOT, Database, new_database
from tests.python.zones import report_in

# Great Expectations takes seconds to import, and every worker of pytest imports this
# file: only who runs its tests is to wait.
if TYPE_CHECKING:
    from saas_analytics.expectations.suites import Suite

SETTINGS = settings.load({})


@pytest.fixture(scope="module")
def suites() -> "dict[str, Suite]":
    """All suites, by their names."""
    from saas_analytics.expectations import suites

    return suites.load()


# --- What is usual for a day ----------------------------------------------------------


def days(seed: int = 1) -> pd.DataFrame:
    """Forty weeks of a company that grows 5% a month and rests on weekends."""
    random = np.random.default_rng(seed)
    every_day = pd.date_range("2025-06-02", periods=280)
    weekend = np.where(every_day.day_of_week > 4, 0.25, 1.0)
    growth = 1.05 ** (np.arange(280) / 30)
    amounts = random.poisson(700 * weekend * growth * random.lognormal(0, 0.05, 280))
    return pd.DataFrame({"day": every_day.date, "amount": amounts.astype(float)})


def deviations(rows: pd.DataFrame) -> pd.Series:
    evaluated = ByWeekday("").with_usual(rows, pd.DataFrame())
    return evaluated.set_index("day")["deviation"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weekends_growth_and_chance_are_usual(seed: int) -> None:
    evaluated = deviations(days(seed))
    assert len(evaluated) == 14
    assert evaluated.abs().max() < 4


@pytest.mark.parametrize(
    ("fault", "factor"), [("half a day is missing", 0.5), ("a load came twice", 2.0)]
)
@pytest.mark.parametrize("days_ago", [1, 3, 5])
def test_a_day_unlike_its_weekday_stands_out(
    fault: str, factor: float, days_ago: int
) -> None:
    rows = days()
    rows.loc[rows.index[-days_ago], "amount"] *= factor

    evaluated = deviations(rows)

    alone = evaluated[evaluated.abs() > 4]
    assert list(alone.index) == [str(rows["day"].iloc[-days_ago])], fault
    assert (alone.iloc[0] > 0) == (factor > 1)


def test_a_day_without_rows_stands_out() -> None:
    rows = days().drop(index=275)
    assert deviations(rows).idxmin() == "2026-03-04"
    assert deviations(rows).min() < -8


def test_a_bad_day_does_not_spoil_the_days_after_it() -> None:
    rows = days()
    rows.loc[rows.index[-21], "amount"] = 0
    rows.loc[rows.index[-28], "amount"] *= 10
    assert deviations(rows).abs().max() < 4


def test_nothing_is_said_of_days_before_there_is_enough_history() -> None:
    """Fifteen weeks: two of them more than are needed, less the three that are not."""
    assert deviations(days().head(7 * 14)).isna().all()
    assert deviations(pd.DataFrame({"day": [], "amount": []})).empty


# --- What is usual for a run ----------------------------------------------------------


def earlier_runs(**parts: list[float]) -> pd.DataFrame:
    """What a measure was on the days of August, part by part."""
    return pd.DataFrame(
        [
            {"run_date": f"2026-08-{day:02}", "part": part, "value": value}
            for part, values in parts.items()
            for day, value in enumerate(values, start=1)
        ],
        columns=["run_date", "part", "value"],
    )


def now(dataset: Recorded, runs: pd.DataFrame, **parts: float) -> dict[str, float]:
    """How far from usual the parts are now."""
    rows = pd.DataFrame({"part": parts.keys(), "value": parts.values()})
    evaluated = dataset.with_usual(rows, runs)
    return dict(zip(evaluated["part"], evaluated["deviation"], strict=True))


SHARES = Shares("", measure="", margin=0.01)
MEASURED = Measured("", measure="", margin=0.1)


def test_a_share_is_judged_by_how_much_it_varies() -> None:
    calm = earlier_runs(one=[0.5] * 8, two=[0.5] * 8)
    lively = earlier_runs(one=[0.4, 0.6] * 4, two=[0.6, 0.4] * 4)

    assert now(SHARES, calm, one=0.6, two=0.4)["one"] == pytest.approx(10)
    assert now(SHARES, lively, one=0.6, two=0.4)["one"] < 1


def test_a_part_that_is_new_or_gone_counts_as_no_share() -> None:
    runs = earlier_runs(one=[0.5] * 8, two=[0.5] * 8)
    evaluated = now(SHARES, runs, one=0.5, three=0.5)
    assert evaluated == pytest.approx({"one": 0, "two": -50, "three": 50})


def test_a_quantity_is_judged_in_proportion() -> None:
    runs = earlier_runs(small=[10.0] * 8, large=[1000.0] * 8, gone=[5.0] * 8)
    evaluated = now(MEASURED, runs, small=15, large=1100)
    assert evaluated == pytest.approx({"small": 5, "large": 1})


def test_one_run_out_of_order_does_not_change_what_is_usual() -> None:
    runs = earlier_runs(one=[100.0] * 7 + [100_000.0])
    assert now(MEASURED, runs, one=200)["one"] == pytest.approx(10)


def test_nothing_is_said_before_there_are_enough_runs() -> None:
    runs = earlier_runs(one=[0.5] * 6)
    assert np.isnan(now(SHARES, runs, one=0.9)["one"])
    assert np.isnan(now(MEASURED, earlier_runs(), one=0.9)["one"])


# --- A fault for each check -----------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """A change of the data, and the check that it fails."""

    suite: str
    check: str
    statement: str


def on_last_days(suite: str, check: str, mart: str, change: str, day: str) -> Fault:
    """A fault in the last week of a mart."""
    return Fault(
        suite,
        check,
        f"update analytics.{mart} set {change} where {day} > date '2026-03-13'",
    )


def in_february(suite: str, check: str, mart: str, column: str, month: str) -> Fault:
    """A fault in a month that is over: a fiftieth more, and at least one."""
    return Fault(
        suite,
        check,
        f"update analytics.{mart} set {column} = ceil({column} * 1.02) "
        f"where {month} = date '2026-02-01'",
    )


FAULTS = [
    Fault(
        "usage",
        "A day brings as many events as its weekday usually does",
        "insert into analytics.fct_usage_daily (usage_date, event_type, event_count,"
        " unique_sessions, total_duration_seconds)"
        " values ('2026-03-19', 'page_view', 50000, 1, 0)",
    ),
    Fault(
        "usage",
        "As many people are active on a day as usually on its weekday",
        "update analytics.fct_active_users_daily set daily_active_users = 200"
        " where activity_date = '2026-03-19'",
    ),
    Fault(
        "usage",
        "The mart counts the source's events of each day",
        "delete from analytics.fct_usage_daily where usage_date = '2026-03-19'",
    ),
    Fault(
        "usage",
        "Every active user has signed up",
        "update analytics.fct_active_users_daily set daily_active_users = 10000"
        " where activity_date = '2026-03-19'",
    ),
    on_last_days(
        "usage",
        "Events are divided among their types as in earlier runs",
        "fct_usage_daily",
        "event_type = 'mistyped'",
        "usage_date",
    ),
    on_last_days(
        "usage",
        "Sessions are as long and as busy as in earlier runs",
        "fct_usage_daily",
        "total_duration_seconds = total_duration_seconds * 1000",
        "usage_date",
    ),
    in_february(
        "usage",
        "A month that is over keeps its events: within 1% of earlier runs",
        *("fct_usage_monthly", "event_count", "usage_month"),
    ),
    Fault(
        "operations",
        "The API is called as often on a day as usually on its weekday",
        "insert into analytics.fct_api_usage_daily (usage_date, endpoint, method,"
        " requests, client_errors, server_errors, error_rate)"
        " values ('2026-03-19', '/v1/loop', 'GET', 50000, 0, 0, 0)",
    ),
    Fault(
        "operations",
        "As many actions are audited on a day as usually on its weekday",
        "update analytics.fct_audit_daily set events = events + 500"
        " where audit_date = (select max(audit_date) from analytics.fct_audit_daily)",
    ),
    on_last_days(
        "operations",
        "The marts count the source's calls, errors and audited actions",
        *("fct_errors_daily", "errors = errors + 100", "error_date"),
    ),
    Fault(
        "operations",
        "Nine times in ten, an endpoint's slowest percent is within 50 medians",
        "update analytics.fct_api_usage_daily"
        " set p99_response_ms = p50_response_ms * 51 where requests < 20",
    ),
    Fault(
        "operations",
        "Response times are distributed as in earlier runs",
        "update api_usage set response_time_ms = response_time_ms + 1000",
    ),
    Fault(
        "operations",
        "An endpoint's slow calls take as long as in earlier runs",
        "update api_usage set response_time_ms = response_time_ms * 2"
        " where endpoint = '/v1/busy'",
    ),
    on_last_days(
        "operations",
        "As many calls fail as in earlier runs",
        *("fct_api_usage_daily", "server_errors = requests", "usage_date"),
    ),
    Fault(
        "revenue",
        "The mart counts all the source's payments, and what they brought",
        "update analytics.fct_revenue_monthly set gross_cents = gross_cents * 1.02"
        " where currency = 'USD'",
    ),
    in_february(
        "revenue",
        "A month that is over keeps its revenue: within 1% of earlier runs",
        *("fct_revenue_monthly", "gross_cents", "revenue_month"),
    ),
    Fault(
        "revenue",
        "Payments fail and are given back as often as in earlier runs",
        "update payment_transactions set status = 'failed'"
        " where created_at > '2026-03-01'",
    ),
    Fault(
        "revenue",
        "Paying customers are divided among the plans as in earlier runs",
        "update analytics.fct_mrr_monthly set customers = customers * 2"
        " where plan_type = 'pro'",
    ),
    Fault(
        "revenue",
        "Nine months in ten give back less than a fifth of what they took",
        "update analytics.fct_revenue_monthly set refunded_cents = gross_cents / 3",
    ),
    Fault(
        "affiliates",
        "Affiliates bring as many clicks on a day as usually on its weekday",
        "update analytics.fct_affiliate_funnel_daily set clicks = clicks + 500"
        " where funnel_date = (select max(funnel_date)"
        " from analytics.fct_affiliate_funnel_daily where funnel_date < '2026-03-20')",
    ),
    Fault(
        "affiliates",
        "The ledger counts all commissions of the source",
        "delete from analytics.fct_affiliate_earnings where currency = 'USD'",
    ),
    Fault(
        "affiliates",
        "Clicks are divided among the campaigns as in earlier runs",
        "update analytics.fct_affiliate_funnel_daily set utm_campaign = 'mistyped'"
        " where funnel_date > '2026-02-01'",
    ),
    Fault(
        "affiliates",
        "A commission is as large as in earlier runs",
        "update analytics.fct_affiliate_earnings"
        " set paid_cents = paid_cents * 2,"
        " total_earnings_cents = total_earnings_cents * 2",
    ),
    Fault(
        "adoption",
        "The mart counts the source's uses of each feature",
        "update analytics.fct_feature_usage set total_uses = total_uses + 1",
    ),
    Fault(
        "adoption",
        "A feature has as large a share of all uses as in earlier runs",
        "update analytics.fct_feature_adoption_monthly set total_uses = 0"
        " where feature_name = 'dashboard'",
    ),
    in_february(
        "adoption",
        "A month that is over keeps its uses: within 1% of earlier runs",
        *("fct_feature_adoption_monthly", "total_uses", "adoption_month"),
    ),
    Fault(
        "source",
        "Most events have a user",
        "update usage_events set user_id = null where occurred_at > '2026-03-18'",
    ),
    Fault(
        "source",
        "Nearly every event belongs to a session",
        "update usage_events set session_id = null where occurred_at > '2026-03-19'",
    ),
    Fault(
        "source",
        "Nearly every use is of a feature that the seed features knows",
        "update usage_events set event_name = 'unheard_of'"
        " where event_category = 'feature'",
    ),
    Fault(
        "source",
        "Events are written within a day, by clocks that agree within a minute",
        "update usage_events set created_at = occurred_at + interval '25 hours'"
        " where occurred_at > '2026-03-19'",
    ),
    Fault(
        "source",
        "Nearly every call is timed",
        "update api_usage set response_time_ms = null where occurred_at > '2026-03-19'",
    ),
    Fault(
        "source",
        "Nineteen calls in twenty are answered within three seconds",
        "update api_usage set response_time_ms = 3001 where occurred_at > '2026-03-19'",
    ),
    Fault(
        "source",
        "Nearly every call is made for a license",
        "update api_usage set license_id = null where occurred_at > '2026-03-19'",
    ),
    Fault(
        "source",
        "Nearly every payment is for a subscription",
        "update payment_transactions set subscription_id = null"
        " where created_at > '2026-01-01'",
    ),
]


FAULTS_BY_CHECK = {fault.check: fault for fault in FAULTS}
CAMPAIGNS = "Clicks are divided among the campaigns as in earlier runs"
LEDGER = "The ledger counts all commissions of the source"


BUSY_ENDPOINT = """
    insert into api_usage (license_id, endpoint, method, status_code, response_time_ms,
        occurred_at)
    select (select min(id::text)::uuid from licenses), '/v1/busy', 'GET', 200,
        100 + calls % 10, timestamptz '2026-03-20 12:00Z' - calls * interval '2 hours'
    from generate_series(1, 300) as calls
"""
BONUSES = """
    insert into affiliate_commissions (affiliate_id, referral_id, commission_type,
        amount_cents, commission_rate, currency, status)
    select affiliate_id, id, 'bonus', 1000, 10, 'USD', 'approved'
    from affiliate_referrals, generate_series(1, 50)
    limit 50
"""


@pytest.fixture(scope="module")
def company(
    server_url: str, marts_template: str, suites: "dict[str, Suite]"
) -> Iterator[Database]:
    """A company with its marts, evaluated on each of the eight days before today."""
    from saas_analytics.expectations import evaluate

    with new_database(server_url, template=marts_template) as made:
        # Enough of what is evaluated only where there is enough of it.
        made.execute(BUSY_ENDPOINT)
        made.execute(BONUSES)
        with closing(made.connect()) as connection:
            engine.refresh(connection, "analytics_refresh")
        with closing(made.connect()) as connection:
            evaluate.run(connection, SETTINGS, suites)
        table = "analytics_expectations.measurements"
        made.execute(
            f"insert into {table} (run_date, measure, part, value)"
            " select run_date - days, measure, part, value"
            f" from {table}, generate_series(1, 8) as days"
        )
        yield made


def states(cursor: Cursor, selected: "dict[str, Suite]") -> dict[str, str]:
    """The state of each check, in the cursor's transaction."""
    from saas_analytics.expectations import evaluate

    results = evaluate.evaluate(selected, evaluate.read(cursor, SETTINGS, selected))
    return {
        result.check.title: result.state
        for of_suite in results.values()
        for result in of_suite
    }


def test_correct_data_passes_every_check(
    company: Database, suites: "dict[str, Suite]"
) -> None:
    with closing(company.connect()) as connection, connection.cursor() as cursor:
        found = states(cursor, suites)
    assert {says: state for says, state in found.items() if state != "passed"} == {}


def test_checks_run_on_empty_tables(
    company: Database, suites: "dict[str, Suite]"
) -> None:
    """By what there is: that the shares of earlier runs are gone."""
    with closing(company.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "do $$ declare name regclass; begin for name in select oid from pg_class "
            "where relkind in ('r', 'p') and relnamespace in "
            "('public'::regnamespace, 'analytics'::regnamespace) "
            "loop execute format('truncate %s cascade', name); end loop; end $$"
        )
        found = states(cursor, suites)
    assert {found[says] for says in (LEDGER, "Nearly every call is timed")} == {
        "insufficient history"
    }
    assert found[CAMPAIGNS] == "failed"


def test_a_row_of_nothing_divides_by_nothing(
    company: Database, suites: "dict[str, Suite]"
) -> None:
    """Months without customers, calls or events are evaluated too."""
    with closing(company.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "update analytics.fct_mrr_monthly set customers = 0;"
            "update analytics.fct_usage_daily set event_count = 0, unique_sessions = 0;"
            "update analytics.fct_api_usage_daily set requests = 0;"
            "update analytics.fct_affiliate_funnel_daily set clicks = 0;"
            "update analytics.fct_feature_adoption_monthly set total_uses = 0"
        )
        assert len(states(cursor, suites)) == len(FAULTS)


def test_every_check_has_a_fault(suites: "dict[str, Suite]") -> None:
    checks = {
        (name, check.title) for name, suite in suites.items() for check in suite.checks
    }
    assert {(fault.suite, fault.check) for fault in FAULTS} == checks


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.check)
def test_a_fault_fails_its_check(
    company: Database, suites: "dict[str, Suite]", fault: Fault
) -> None:
    suite = suites[fault.suite]
    (check,) = (each for each in suite.checks if each.title == fault.check)
    alone = {fault.suite: replace(suite, checks=[check])}
    with closing(company.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(fault.statement)
        assert states(cursor, alone) == {fault.check: "failed"}


# --- The command ----------------------------------------------------------------------


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page goes."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path))
    return tmp_path


def exit_code(
    monkeypatch: pytest.MonkeyPatch, database: Database, *arguments: str
) -> int:
    """Run `saas expectations ARGUMENTS` in this process, which has GX loaded."""
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as leave:
        main(["expectations", *arguments])
    return int(str(leave.value.code))


@pytest.fixture
def own_company(server_url: str, company: Database) -> Iterator[Database]:
    """The company, to be changed by one test."""
    with new_database(server_url, template=parse_dsn(company.url)["dbname"]) as made:
        yield made


def test_a_failed_check_fails_the_run_by_its_severity(
    own_company: Database,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And is told in one line: what was found, what was expected, who acts on it."""
    arguments = ("--select", "affiliates")
    assert exit_code(monkeypatch, own_company, *arguments) == 0
    assert capsys.readouterr().out.startswith("affiliates: 4 passed\n")

    own_company.execute(FAULTS_BY_CHECK[CAMPAIGNS].statement)
    assert exit_code(monkeypatch, own_company, *arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "affiliates: 1 failed, 3 passed"
    assert re.fullmatch(
        rf"  warn: {CAMPAIGNS}: \d+ of \d+ rows fail, expected deviation from "
        r"-4 to 4; for example part \S+, value [\d.]+, usual [\d.]+, earlier_runs 8, "
        r"deviation -?[\d.]+ \(Partner programme\)",
        lines[1],
    )
    assert len(lines) == 3

    own_company.execute(FAULTS_BY_CHECK[LEDGER].statement)
    assert exit_code(monkeypatch, own_company, *arguments) == 1
    assert f"  error: {LEDGER}: " in capsys.readouterr().out

    text = (target / "expectations.html").read_text()
    assert LEDGER in text
    assert CAMPAIGNS in text


def test_the_page_needs_nothing_but_itself(
    company: Database,
    suites: "dict[str, Suite]",
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert exit_code(monkeypatch, company) == 0

    text = (target / "expectations.html").read_text()
    parser = Tags()
    parser.feed(text)
    assert parser.open == []
    assert parser.attributes.isdisjoint({"src", "href", "srcset", "action"})
    assert not re.search(r"https?:|url\(|@import|<script", text)
    for name, suite in suites.items():
        assert f'id="suite-{name}"' in text
        for check in suite.checks:
            assert html.escape(check.title) in text.replace("&#39;", "&#x27;")


class Tags(HTMLParser):
    """Which tags are still open, and every attribute that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.update(name for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_run_takes_the_place_of_the_days_earlier_one(
    company: Database, suites: "dict[str, Suite]"
) -> None:
    from saas_analytics.expectations import evaluate

    def measured() -> list[tuple[object, ...]]:
        return company.execute(
            "select run_date, count(*) from analytics_expectations.measurements"
            " group by 1 order by 1"
        )

    before = measured()
    assert len(before) == 9
    with closing(company.connect()) as connection:
        evaluate.run(connection, SETTINGS, suites)
    assert measured() == before


def test_days_are_those_of_the_zone_that_the_marts_were_built_in(
    own_company: Database, suites: "dict[str, Suite]"
) -> None:
    """A mart counts each of the source's last days, and none half, in any zone."""
    from saas_analytics.expectations import evaluate

    zone = "Pacific/Kiritimati"
    report_in(own_company, zone)
    with closing(own_company.connect()) as connection:
        engine.refresh(connection, "analytics_refresh")
    with closing(own_company.connect()) as connection, connection.cursor() as cursor:
        reading = evaluate.read(cursor, SETTINGS, suites)
        cursor.execute("select (now() at time zone %s)::date", (zone,))
        assert cursor.fetchone() == (reading.today,)
    compared = [rows for rows in reading.rows.values() if "lost_share" in rows]
    assert len(compared) >= 4
    for rows in compared:
        assert not rows.empty
        assert (rows["lost_share"] == 0).all(), rows


def test_marts_of_two_zones_are_refused_in_one_line(
    own_company: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_company.execute(
        "update analytics_refresh.models set zone = 'Europe/Berlin' "
        "where model = 'fct_errors_daily'"
    )
    assert exit_code(monkeypatch, own_company) == 2
    assert capsys.readouterr().err == (
        "error: the marts are in Europe/Berlin and UTC: build all of them in one zone, "
        "with `make build`\n"
    )


def test_marts_of_two_times_are_refused_in_one_line(
    own_company: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_company.execute(
        "update analytics_refresh.models set as_of = '2026-03-31T00:00:00Z' "
        "where model = 'fct_mrr_monthly'"
    )
    assert exit_code(monkeypatch, own_company) == 2
    assert capsys.readouterr().err == (
        "error: the marts are as of 2026-03-31T00:00:00Z and now: build all of them as "
        "of one time, with `make build`\n"
    )


def test_missing_marts_and_unknown_suites_are_refused_in_one_line(
    database: Database,
    suites: "dict[str, Suite]",
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code(monkeypatch, database) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert re.fullmatch(r"error: .*: run `make build` first\n", refused.err)

    assert exit_code(monkeypatch, database, "--select", "weather") == 2
    assert capsys.readouterr().err == (
        f"error: there is no suite weather: name one of {', '.join(suites)}\n"
    )
    assert list(target.iterdir()) == []
    assert database.execute("select to_regnamespace('analytics_expectations')") == [
        (None,)
    ]


def test_the_docs_list_every_check(suites: "dict[str, Suite]") -> None:
    """With its severity and its owner."""
    text = (ROOT / "docs" / "reference" / "expectations.md").read_text()
    for suite in suites.values():
        for check in suite.checks:
            row = re.search(rf"^\| {re.escape(check.title)} \|(.*)$", text, re.M)
            assert row, check.title
            assert row[1].endswith(f"| {check.severity} | {suite.owner} |")
