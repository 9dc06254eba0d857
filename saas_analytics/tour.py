"""The summary after a build: figures of the marts, and further commands."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saas_analytics.errors import UserError
from saas_analytics.output import plain
from saas_analytics.settings import Settings

BARS = "▁▂▃▄▅▆▇█"
DAYS_SHOWN = 28

# Today and the current month are omitted, because they are incomplete.
ACTIVE_USERS = """
select activity_date, daily_active_users, weekly_active_users, monthly_active_users,
    stickiness
from {marts}.fct_active_users_daily
where plan_type = 'all' and activity_date < (
    select max(activity_date) from {marts}.fct_active_users_daily
)
order by activity_date desc
limit %(days)s
"""

MRR = """
with money as (
    select mrr_month, currency, sum(opening_mrr_cents) as opening,
        sum(new_mrr_cents) as new, sum(expansion_mrr_cents) as expansion,
        sum(contraction_mrr_cents) as contraction, sum(churn_mrr_cents) as churn,
        sum(reactivation_mrr_cents) as reactivation, sum(closing_mrr_cents) as closing,
        sum(customers) as customers
    from {marts}.fct_mrr_monthly
    group by mrr_month, currency
),

months as (
    select max(mrr_month) as month from money
    where mrr_month < (select max(mrr_month) from money)
)

select money.currency, currencies.minor_digits, opening, new, expansion, reactivation,
    contraction, churn, closing, mrr_month
from money
inner join months on money.mrr_month = months.month
inner join {marts}.dim_currencies as currencies
    on money.currency = currencies.currency
order by customers desc, money.currency
"""

FEATURES = """
select feature_name, active_licenses, eligible_licenses, adoption_rate, adoption_month
from {marts}.fct_feature_adoption_monthly
where plan_type = 'all' and adoption_month = (
    select max(adoption_month) from {marts}.fct_feature_adoption_monthly
    where adoption_month < (
        select max(adoption_month) from {marts}.fct_feature_adoption_monthly
    )
)
order by adoption_rate desc nulls last, feature_name
limit 5
"""

# A currency with an unreconciled balance comes first, so it is always shown.
LEDGER = """
select earnings.currency, currencies.minor_digits, count(*),
    sum(total_earnings_cents), sum(paid_cents), sum(payouts_completed_cents),
    sum(unreconciled_cents)
from {marts}.fct_affiliate_earnings as earnings
inner join {marts}.dim_currencies as currencies
    on earnings.currency = currencies.currency
group by earnings.currency, currencies.minor_digits
order by sum(unreconciled_cents) = 0, count(*) desc, earnings.currency
"""

INCIDENTS = """
select usage_date, endpoint, method, requests, error_rate, p99_response_ms
from {marts}.fct_api_usage_daily
where requests >= 20
order by error_rate desc, requests desc
limit 3
"""


def show(connection: Connection, settings: Settings, console: Console) -> None:
    """Print figures of the marts, one block per domain.

    Raises:
        UserError: the marts aren't built yet.
    """
    marts = sql.Identifier(settings.marts_schema)

    def rows(query: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(query).format(marts=marts), {"days": DAYS_SHOWN})
            return [tuple(map(_harmless, row)) for row in cursor]

    try:
        found = [
            rows(query) for query in (ACTIVE_USERS, MRR, FEATURES, LEDGER, INCIDENTS)
        ]
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn):
        raise UserError("the marts aren't built yet: run `make build` first") from None
    active_users, revenue, features, ledger, incidents = found
    console.print()
    _active_users(console, active_users)
    _recurring_revenue(console, revenue)
    _features(console, features)
    _ledger(console, ledger)
    _incidents(console, incidents)
    if not any(found):
        console.print("The marts are built and hold no complete day or month yet.\n")
    _where_next(console, settings)


def _harmless(value: Any) -> Any:
    """A value of the database; a text without characters that control a terminal."""
    return plain(value) if isinstance(value, str) else value


def _active_users(console: Console, days: list[tuple[Any, ...]]) -> None:
    if not days:
        return
    last, daily, weekly, monthly, stickiness = days[0]
    trend = sparkline([day[1] for day in reversed(days)])
    console.print(Text.assemble(("Active users", "bold"), f" on {last}"))
    console.print(
        f"  {trend}  {daily:,} on the day, {weekly:,} in 7, {monthly:,} in 30 days"
        f"\n  stickiness {percent(stickiness)}\n"
    )


def _recurring_revenue(console: Console, currencies: list[tuple[Any, ...]]) -> None:
    if not currencies:
        return
    lines = ("opening", "new", "expansion", "reactivation", "contraction", "churn")
    columns = [
        (currency, [money(amount, digits) for amount in amounts])
        for currency, digits, *amounts, _ in currencies
    ]
    title = f"Monthly recurring revenue, {currencies[0][-1]:%B %Y}"
    _by_currency(
        console,
        title,
        (*lines, "closing"),
        columns,
        total="closing",
        mart="fct_mrr_monthly",
    )


def _features(console: Console, features: list[tuple[Any, ...]]) -> None:
    if not features:
        return
    table = _table(
        f"Most adopted features, {features[0][-1]:%B %Y}",
        ("", "licenses", "of", "adoption"),
    )
    for name, active, eligible, rate, _ in features:
        _add_row(table, name, f"{active:,}", f"{eligible:,}", percent(rate))
    console.print(table)


def _ledger(console: Console, currencies: list[tuple[Any, ...]]) -> None:
    if not currencies:
        return
    columns = [
        (currency, [f"{affiliates:,}", *(money(amount, digits) for amount in amounts)])
        for currency, digits, affiliates, *amounts in currencies
    ]
    _by_currency(
        console,
        "Affiliate ledger",
        ("affiliates", "earned", "paid", "paid out", "unreconciled"),
        columns,
        total="unreconciled",
        mart="fct_affiliate_earnings",
    )


def _by_currency(
    console: Console,
    title: str,
    lines: Sequence[str],
    columns: Sequence[tuple[str, list[str]]],
    *,
    total: str,
    mart: str,
) -> None:
    """Print a column per currency, as many as fit, and a line that names the others.

    `columns` holds each currency with its texts, the most important currency first.
    """
    shown = list(columns[:1])
    for column in columns[1:]:
        if _width_of(lines, [*shown, column]) > console.width:
            break
        shown.append(column)
    shown.sort()
    table = _table(None, ("", *(currency for currency, _ in shown)))
    for position, line in enumerate(lines):
        is_total = line == total
        _add_row(
            table,
            line,
            *(texts[position] for _, texts in shown),
            style="bold" if is_total else None,
            end_section=is_total,
        )
    # Printed separately, because rich wraps a table's title to the table's width.
    console.print(title, style="bold", markup=False)
    console.print(table)
    others = sorted(currency for currency, _ in columns[len(shown) :])
    if others:
        start = f"  and {len(others)} more in {mart}: "
        names = shorten(", ".join(others), console.width - len(start), placeholder=" …")
        console.print(f"{start}{names}\n", markup=False)


def _width_of(lines: Sequence[str], columns: Sequence[tuple[str, list[str]]]) -> int:
    """The width of a table, with three blanks between cells and its margins."""
    cells = [max(map(len, lines)), *(max(map(len, texts)) for _, texts in columns)]
    return sum(max(cell, 3) + 3 for cell in cells) + 1


def _incidents(console: Console, endpoints: list[tuple[Any, ...]]) -> None:
    if not endpoints:
        return
    table = _table(
        "Worst days of the API", ("", "endpoint", "requests", "5xx", "p99 ms")
    )
    for day, endpoint, method, requests, error_rate, p99 in endpoints:
        slowest = "" if p99 is None else f"{p99:,.0f}"
        _add_row(
            table,
            str(day),
            f"{method} {endpoint}",
            f"{requests:,}",
            percent(error_rate),
            slowest,
        )
    console.print(table)


def _where_next(console: Console, settings: Settings) -> None:
    marts = settings.marts_schema
    console.print("Next commands", style="bold")
    query = f"select * from {marts}.fct_mrr_monthly order by mrr_month"  # noqa: S608
    actions = [
        ("query a mart", ".venv/bin/saas psql"),
        ("", f"{query};"),
        ("read about each mart", "docs/reference/marts.md"),
        ("browse models and columns", "make docs"),
        ("build again", "make build"),
    ]
    if settings.database_url is None:
        actions.append(("stop the server", "make down"))
    for action, command in actions:
        console.print(
            f"  {action:26} {command}", highlight=False, soft_wrap=True, markup=False
        )


def _table(title: str | None, columns: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD
    )
    for column in columns:
        is_text = column in ("", "endpoint")
        table.add_column(
            Text(column), justify="left" if is_text else "right", no_wrap=True
        )
    return table


def _add_row(
    table: Table, *cells: str, style: str | None = None, end_section: bool = False
) -> None:
    """Add a row of plain texts: rich does not interpret markup such as `[link=…]`."""
    table.add_row(*map(Text, cells), style=style, end_section=end_section)


def sparkline(values: Sequence[int]) -> str:
    """One bar per value, scaled to the highest; an empty text for no values."""
    top = max(values, default=0) or 1
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in values)


def money(minor_units: Any, digits: int) -> str:
    """An amount in minor units as text: 123456 with 2 digits is 1,234.56."""
    return f"{minor_units / 10**digits:,.{digits}f}"


def percent(rate: Any) -> str:
    """A rate from 0 to 1 as a percentage; a dash for none."""
    return "-" if rate is None else f"{rate:.1%}"
