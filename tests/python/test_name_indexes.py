"""Indexes of names suit any type, when they are made and when a type changes."""

from __future__ import annotations

import re

import pytest

from bootstrap import migrate
from bootstrap.name_indexes import KEYS
from tests.python.support import Database, refusal, run
from tests.python.test_column_types import retype

UP, DOWN = "006_refresh_indexes.sql", "006_refresh_indexes.down.sql"
TABLES = {
    "api_usage_endpoint_day_idx": "api_usage",
    "error_logs_type_day_idx": "error_logs",
    "audit_logs_action_day_idx": "audit_logs",
    "affiliate_clicks_campaign_idx": "affiliate_clicks",
    "affiliate_referrals_campaign_idx": "affiliate_referrals",
}
COLUMNS = [(TABLES[index], column) for index, keys in KEYS.items() for column in keys]


def migration(file: str) -> str:
    """The statements of one file."""
    return (migrate.FOLDER / file).read_text(encoding="utf-8")


@pytest.fixture(params=["", "_15"], ids=["default", "15"])
def schema(request: pytest.FixtureRequest) -> Database:
    """A migrated database without the indexes that accept no other type than text."""
    made: Database = request.getfixturevalue(f"database{request.param}")
    for (index,) in made.execute(
        "select indexrelid::regclass::text from pg_index "
        "join pg_class on pg_class.oid = indexrelid where not indisunique "
        "and indrelid::regclass::text = any (%s) and relname <> all (%s)",
        (list(TABLES.values()), re.findall(r"drop index (\w+);", migration(DOWN))),
    ):
        made.execute(f"drop index {index}")
    made.execute("create type one as enum ('GET', 'login')")
    made.execute("create domain words as text check (value <> '')")
    return made


def definitions(database: Database) -> dict[str, str]:
    """Each index of names, as PostgreSQL shows it."""
    return dict(
        database.execute(
            "select indexname::text, indexdef::text from pg_indexes "
            "where schemaname = 'public' and indexname = any (%s)",
            (list(KEYS),),
        )
    )


@pytest.mark.parametrize("data_type", ["one", "words", "text", "varchar(200)"])
def test_indexes_are_made_whatever_types_names_have(
    schema: Database, data_type: str
) -> None:
    schema.execute(migration(DOWN))
    for table, column in COLUMNS:
        retype(schema, table, column, data_type)
    schema.execute(migration(UP))
    shown = definitions(schema)
    for index, keys in KEYS.items():
        for column, characters in keys.items():
            cut = f"(({column})::character varying({characters}))"
            assert (cut in shown[index]) == (data_type != "one"), shown[index]
    schema.execute(migration(DOWN))
    schema.execute(migration(UP))
    assert definitions(schema) == shown


def test_an_index_of_names_follows_each_type_that_its_columns_get(
    schema: Database,
) -> None:
    before = definitions(schema)
    assert len(before) == 5
    result = run("retype", "api_usage", "method", "one", env=schema.environment())
    assert result.returncode == 0, result.stderr
    assert "api_usage_endpoint_day_idx" in result.stdout
    for table, column in COLUMNS:
        retype(schema, table, column, "one")
        retype(schema, table, column, "one")
    assert "varying" not in " ".join(definitions(schema).values())
    for data_type in ("words", "one", "text"):
        for table, column in COLUMNS:
            retype(schema, table, column, data_type)
    assert definitions(schema) == before


def test_retype_refuses_a_type_that_another_index_does_not_accept(
    database: Database,
) -> None:
    before = definitions(database)
    database.execute("create type one as enum ('login')")
    result = run("retype", "audit_logs", "action", "one", env=database.environment())
    assert "audit_logs.action can't become one" in refusal(result)
    assert definitions(database) == before
