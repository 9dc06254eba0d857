"""Nothing in the database joins an erased person to what they did.

Every row that names an erased account is held against every row of what that person
did, by each column that may serve as a key, and by the system's own.
"""

import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from bootstrap import erase
from tests.python.support import Database, copy_of_marts, refresh

ACTIVITY = ("usage_events", "api_usage", "error_logs", "audit_logs", "affiliate_clicks")
# Types whose values are seldom equal by chance.
KEY_TYPES = ("xid8", "xid", "cid", "tid", "timestamptz", "uuid", "inet", "pg_snapshot")
LONG_TEXT = 12

# What belongs to an account: of marts, what is about money and terms.
MAY_NAME = re.compile(
    r"public\.(users|licenses|teams|subscriptions|payment_transactions|affiliate\w*"
    r"|audit_logs)|analytics_staging\.stg_saas__(users|licenses|teams|subscriptions"
    r"|payment_transactions|affiliate\w*)|analytics\.(dim_\w+|fct_revenue_\w+|fct_mrr_\w+"
    r"|fct_affiliate_\w+|fct_license_seats)|analytics_intermediate\.int_(plan_"
    r"|signup_month|eligible|feature_adoption|access_end|paid_through|mrr|ledger)\w*"
    r"|analytics_snapshots\.\w+"
)


@dataclass
class Person:
    """An erased person, as an attacker would have liked to know them."""

    user_id: str
    ids: set[str] = field(default_factory=set)
    """Of their account and what hangs on it."""
    did: dict[str, set[str]] = field(default_factory=dict)
    """The ids of the rows of what they did, by table."""


@dataclass(frozen=True)
class Company:
    """A company with marts, of which some persons were erased, after a refresh."""

    database: Database
    persons: list[Person]
    last_xid_before: int


@pytest.fixture(scope="module")
def company(server_url: str, marts_template: str) -> Iterator[Company]:
    with copy_of_marts(server_url, marts_template) as marts:
        # Others without a name, as there are many of in any company.
        marts.execute(
            "update usage_events set user_id = null, license_id = null, team_id = null "
            "where hashtext(id::text) % 4 = 0"
        )
        refresh(marts).check_returncode()
        persons = [
            person(marts, user_id)
            for (user_id,) in marts.execute(
                "select user_id::text from usage_events where user_id is not null "
                "group by user_id order by count(*) desc, user_id limit 4"
            )
        ]
        assert len(persons) == 4
        ((last,),) = marts.execute("select pg_current_xact_id()::text::bigint")
        for each in persons:
            with closing(marts.connect()) as connection:
                erase.erase(connection, uuid.UUID(each.user_id), dry_run=False)
        # Before-images stay while a transaction of before runs, in any database.
        ((after,),) = marts.execute("select pg_current_xact_id()::text::bigint")
        oldest = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        deadline = time.monotonic() + 60
        while marts.execute(oldest)[0][0] <= after and time.monotonic() < deadline:
            time.sleep(0.05)
        refresh(marts).check_returncode()
        yield Company(marts, persons, last)


def person(database: Database, user_id: str) -> Person:
    """What is known of a person before they are erased."""
    made = Person(user_id, {user_id})
    for query in (
        "select id::text from licenses where user_id = %(user)s",
        "select id::text from teams where owner_id = %(user)s",
        "select id::text from affiliates where user_id = %(user)s",
        "select id::text from affiliate_referrals where referred_user_id = %(user)s",
        "select subscriptions.id::text from subscriptions inner join licenses "
        "on license_id = licenses.id where user_id = %(user)s",
    ):
        made.ids |= {each for (each,) in database.execute(query, {"user": user_id})}
    for table in ACTIVITY:
        condition = "user_id = %(user)s"
        if table == "affiliate_clicks":
            condition = (
                "referral_id in (select id from affiliate_referrals "
                "where referred_user_id = %(user)s)"
            )
        made.did[table] = {
            each
            for (each,) in database.execute(
                f"select id::text from {table} where {condition}", {"user": user_id}
            )
        }
    assert made.did["usage_events"]
    return made


def relations(database: Database) -> list[str]:
    """Every table and view of this project, quoted."""
    rows = database.execute(
        "select format('%I.%I', nspname, relname) from pg_class "
        "inner join pg_namespace on relnamespace = pg_namespace.oid "
        "where relkind in ('r', 'v', 'm', 'p') and not relispartition "
        "and (nspname = 'public' or nspname like 'analytics%')"
    )
    return sorted(name for (name,) in rows)


def rows_naming(database: Database, relation: str, ids: set[str]) -> list[str]:
    """The rows of a relation, as text, that hold one of the ids."""
    return [
        row
        for (row,) in database.execute(
            f"select named::text from {relation} as named where named::text ~ %s",
            ("|".join(sorted(ids)),),
        )
    ]


def test_what_runs_remember_names_no_erased_person(company: Company) -> None:
    named = defaultdict(list)
    for relation in relations(company.database):
        for each in company.persons:
            if rows_naming(company.database, relation, {each.user_id}):
                named[relation].append(each.user_id)

    assert [name for name in named if not MAY_NAME.fullmatch(name)] == []
    # And they were to be found.
    assert len(named["public.users"]) == len(company.persons)


def keys(database: Database, table: str, rows: set[str]) -> Iterator[tuple[str, str]]:
    """Each value of some rows that might serve as a key, and the row's id."""
    columns = database.execute(
        "select attname::text, typname::text from pg_attribute "
        "inner join pg_type on atttypid = pg_type.oid "
        "where attrelid = %s::regclass and not attisdropped "
        "and attname not in ('cmax', 'xmax', 'tableoid')",
        (table,),
    )
    wanted = [
        name
        for name, type_name in columns
        if type_name in KEY_TYPES or type_name in ("text", "varchar")
    ]
    # Places, and numbers of commands, are equal by chance.
    wanted = [name for name in wanted if name not in ("ctid", "cmin")]
    with closing(database.connect(cursor_factory=RealDictCursor)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            sql.SQL("select {} from {} where id::text = any (%s)").format(
                sql.SQL(", ").join(
                    sql.SQL("{0}::text as {0}").format(sql.Identifier(name))
                    for name in wanted
                ),
                sql.Identifier(table),
            ),
            (list(rows),),
        )
        rows_found: list[Any] = cursor.fetchall()
        for row in rows_found:
            for name, value in row.items():
                is_short = name != "xmin" and len(value or "") < LONG_TEXT
                if value is not None and (not is_short or name == "change_xid"):
                    yield value, row["id"]


def test_no_value_joins_an_account_to_what_the_person_did(company: Company) -> None:
    accounts: dict[str, set[str]] = defaultdict(set)
    deeds: dict[str, set[str]] = defaultdict(set)
    for each in company.persons:
        for table in (
            *("users", "licenses", "teams", "subscriptions", "affiliates"),
            *("affiliate_referrals", "audit_logs", "change_tombstones"),
        ):
            id_column = "resource_id" if table == "audit_logs" else "id"
            if table == "change_tombstones":
                continue
            rows = {
                row_id
                for (row_id,) in company.database.execute(
                    f"select id::text from {table} where {id_column}::text = any (%s)",
                    (list(each.ids),),
                )
            }
            for value, _ in keys(company.database, table, rows):
                accounts[value].add(each.user_id)
        for table, rows in each.did.items():
            for value, _ in keys(company.database, table, rows):
                deeds[value].add(each.user_id)

    # The same value on both sides, of one person, and of nothing that others did.
    joined = {
        value: persons
        for value, persons in accounts.items()
        if persons == deeds.get(value)
        and len(persons) == 1
        and not of_others(company, value, persons)
    }
    assert joined == {}


def of_others(company: Company, value: str, persons: set[str]) -> bool:
    """Whether more of what others did has a value than of what a person did."""
    (found,) = (each for each in company.persons if each.user_id in persons)
    own = others = 0
    for table in ACTIVITY:
        ((of_person, of_all),) = company.database.execute(
            f"select count(*) filter (where id::text = any (%s)), count(*) "
            f"from {table} as deed where deed::text like %s",
            (list(found.did[table]), f"%{value}%"),
        )
        own += of_person
        others += of_all - of_person
    return others > own


def test_erased_accounts_bear_one_transaction(company: Company) -> None:
    """Else the nearest transaction of what was done would show whose it was."""
    found: dict[str, set[int]] = {}
    for each in company.persons:
        found[each.user_id] = {
            xid
            for table in ("users", "licenses", "teams", "subscriptions", "affiliates")
            for (xid,) in company.database.execute(
                f"select change_xid::text::bigint from {table} "
                "where id::text = any (%s) and change_xid::text::bigint > %s",
                (list(each.ids), company.last_xid_before),
            )
        }
    assert len(set(map(frozenset, found.values()))) == 1
    assert all(len(xids) == 1 for xids in found.values())


def test_what_was_done_is_among_what_others_did(company: Company) -> None:
    for each in company.persons:
        ((own, others),) = company.database.execute(
            "select count(*) filter (where id::text = any (%(own)s)), "
            "count(*) filter (where id::text <> all (%(own)s)) "
            "from usage_events where change_xid in (select change_xid "
            "from usage_events where id::text = any (%(own)s))",
            {"own": list(each.did["usage_events"])},
        )
        assert own == len(each.did["usage_events"])
        assert others > own / 4
