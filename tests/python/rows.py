"""Rows for tests: each keeps the OLTP contract, and a test gives only what it is about.

with written(database) as rows:
    owner = rows.a_user(created_at="2026-01-31")
    rows.a_license(user_id=owner, plan_type="pro")
"""

import datetime
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from itertools import count
from typing import Any

from psycopg2.extensions import cursor as Cursor

from tests.python.contract import Column, columns_of, constraints_of
from tests.python.support import Database


@contextmanager
def written(database: Database) -> Iterator["Rows"]:
    """Rows that are committed together at the end."""
    with (
        closing(database.connect()) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        yield Rows(cursor)


def identifier(name: str) -> str:
    """The id, a UUID, of what tests call by a name; always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def named(statement: str) -> str:
    """A statement in which {ada} is the id of ada, as a literal."""
    return statement.format_map(_Names())


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"'{identifier(name)}'"


class Rows:
    """Makes rows that keep the contract, and the rows they refer to."""

    def __init__(self, cursor: Cursor, first: int = 1) -> None:
        self.cursor = cursor
        self._numbers = count(first)

    def make(self, table: str, **values: Any) -> dict[str, Any]:
        """Insert a row with these values; what else it must have is made up."""
        row = {**self.required(table, without=values.keys()), **values}
        names = ", ".join(row)
        places = ", ".join(f"%({name})s" for name in row)
        self.cursor.execute(
            f"insert into {table} ({names}) values ({places}) returning *", row
        )
        inserted = self.cursor.fetchone()
        assert inserted is not None
        assert self.cursor.description is not None
        fields = [field.name for field in self.cursor.description]
        return dict(zip(fields, inserted, strict=True))

    def required(self, table: str, without: Any = ()) -> dict[str, Any]:
        """Good values for the columns that must be given."""
        return {
            each.name: self.value(each)
            for each in columns_of(table).values()
            if not each.is_nullable and not each.default and each.name not in without
        }

    def value(self, wanted: Column) -> Any:
        """A good value for a column, another one each time where rules allow it."""
        for rule in constraints_of(wanted.table):
            if rule.columns != (wanted.name,):
                continue
            if rule.kind == "foreign key":
                return self.make(rule.reference[0])["id"]
            if rule.choices:
                return rule.choices[0]
            if rule.bounds:
                return rule.bounds[0]
        return sample(wanted, next(self._numbers))

    def a_user(self, **values: Any) -> str:
        """The id of a new user; so for the other tables below."""
        return self._id("users", values)

    def a_license(self, **values: Any) -> str:
        return self._id("licenses", values)

    def a_team(self, **values: Any) -> str:
        return self._id("teams", values)

    def a_subscription(self, **values: Any) -> str:
        return self._id("subscriptions", values)

    def a_payment(self, **values: Any) -> str:
        return self._id("payment_transactions", values)

    def an_affiliate(self, **values: Any) -> str:
        return self._id("affiliates", values)

    def a_referral(self, **values: Any) -> str:
        return self._id("affiliate_referrals", values)

    def a_commission(self, **values: Any) -> str:
        return self._id("affiliate_commissions", values)

    def a_payout(self, **values: Any) -> str:
        return self._id("affiliate_payouts", values)

    def an_event(self, **values: Any) -> str:
        return self._id("usage_events", values)

    def _id(self, table: str, values: dict[str, Any]) -> str:
        return str(self.make(table, **values)["id"])


def sample(wanted: Column, number: int) -> Any:
    """A value of a column's type, another one for each number."""
    if wanted.type.startswith("character varying") or wanted.type == "text":
        return f"{wanted.name[:3]}{number}"
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    return {
        "uuid": str(uuid.UUID(int=number)),
        "boolean": True,
        "integer": number,
        "numeric(5,2)": Decimal(number % 1000),
        "jsonb": "{}",
        "inet": "192.0.2.1",
        "date": start.date() + datetime.timedelta(number),
        "timestamp with time zone": start + datetime.timedelta(seconds=number),
    }[wanted.type]
