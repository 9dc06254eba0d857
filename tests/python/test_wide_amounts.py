"""Amounts beyond 2,147,483,647 minor units, and the way there with views in use."""

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from bootstrap.migrate import FOLDER
from tests.python.support import Database
from tests.python.torture import refresh

LARGE = 10**15


def apply(database: Database, file: str) -> None:
    """Run a migration's file as psql does."""
    with closing(database.connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute((FOLDER / file).read_text())


def narrow(database: Database) -> None:
    """Take the migration back, where dbt's views are not there yet."""
    apply(database, "014_wide_amounts.down.sql")


def properties(database: Database) -> Any:
    return database.execute(
        "select reloptions::text, relacl::text, relowner, obj_description(oid) "
        "from pg_class where relname in ('amounts', 'of_amounts') order by relname"
    )


def test_amounts_in_currencies_of_many_units_are_counted(marts: Database) -> None:
    gross = "select sum(gross_cents) from analytics.fct_revenue_monthly"
    ((before,),) = marts.execute(gross)
    for amount in (2**31, LARGE):
        marts.execute(
            "insert into payment_transactions (amount_cents, currency, status, "
            "processed_at) values (%s, 'IDR', 'succeeded', '2026-03-01')",
            (amount,),
        )
    # The counters are kept by a trigger that adds such amounts up.
    marts.execute(
        "update affiliate_commissions set amount_cents = %s, status = 'approved' "
        "where id = (select id from affiliate_commissions limit 1)",
        (LARGE,),
    )
    refresh(marts)
    assert marts.execute(gross) == [(before + 2**31 + LARGE,)]


def test_views_and_triggers_on_amounts_survive_the_widening(
    database: Database,
) -> None:
    narrow(database)
    database.execute(
        "create view amounts with (security_barrier) as select id, "
        "amount_cents::bigint as amount_cents, status from payment_transactions;"
        "create view of_amounts as select sum(amount_cents) as cents from amounts;"
        "comment on view amounts is 'kept'; grant select on amounts to public;"
        "select capture_changes('payment_transactions', '{amount_cents}')"
    )
    before = properties(database)
    apply(database, "014_wide_amounts.sql")
    assert properties(database) == before
    database.execute(
        "insert into payment_transactions (amount_cents, status) "
        "values (3000000000, 'succeeded')"
    )
    assert database.execute("select cents::bigint from of_amounts") == [(3000000000,)]
    database.execute("update payment_transactions set amount_cents = 1")
    assert database.execute(
        "select old_row ->> 'amount_cents' from change_tombstones"
    ) == [("3000000000",)]
    assert database.execute(
        "select distinct tgenabled from pg_trigger where tgname like '%moved' "
        "and tgrelid = 'payment_transactions'::regclass"
    ) == [("A",)]


@pytest.mark.parametrize(
    ("kind", "message"),
    [("view", "shows an amount"), ("materialized view", "materialized view shown")],
)
def test_a_view_that_would_change_its_type_is_refused_by_name(
    database: Database, kind: str, message: str
) -> None:
    narrow(database)
    database.execute(
        f"create {kind} shown as select amount_cents from payment_transactions"
    )
    with pytest.raises(psycopg2.Error, match=message):
        apply(database, "014_wide_amounts.sql")
    assert database.execute(
        "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = "
        "'payment_transactions'::regclass and attname = 'amount_cents'"
    ) == [("integer",)]
