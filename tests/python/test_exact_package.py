"""The package `exact` in a dbt project that has nothing to do with this one.

A shop keeps customers, orders and visits. Its project adds the package as a stranger
does, with one line in packages.yml and one in dbt_project.yml.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from psycopg2.extensions import parse_dsn

from tests.python.support import (
    ROOT,
    Database,
    environment,
    invoke_dbt,
    new_database,
)

PACKAGE = ROOT / "packages" / "exact"
SOURCES = ("customers", "orders", "visits")

# What an application does, at random.
WRITES = (
    "update shop.customers set region = (array['North', 'South', 'East', null])"
    "[1 + floor(random() * 4)] where id in "
    "(select id from shop.customers order by random() limit 2)",
    "delete from shop.customers where id in "
    "(select id from shop.customers order by random() limit 1)",
    "insert into shop.customers (name, region) values ('New', 'East')",
    "insert into shop.orders (customer_id, amount_cents, status, ordered_at, due_at) "
    "select id, 500, 'paid', timestamptz '2026-01-01 00:00+00' + random() * "
    "interval '60 days', now() + (random() - 0.5) * interval '2 seconds' "
    "from shop.customers order by random() limit 3",
    "update shop.orders set due_at = case when due_at is null then ordered_at end "
    "where id in (select id from shop.orders order by random() limit 2)",
    "update shop.orders set status = (array['open', 'paid'])[1 + floor(random() * 2)], "
    "ordered_at = ordered_at + (random() - 0.5) * interval '20 days' where id in "
    "(select id from shop.orders order by random() limit 3)",
    "delete from shop.orders where id in "
    "(select id from shop.orders order by random() limit 2)",
    "insert into shop.visits (customer_id, visited_at) select "
    "nullif(1 + floor(random() * 42), 41), timestamptz '2026-01-02 00:00+00' + "
    "random() * interval '57 days' from generate_series(1, 3)",
    "update shop.visits set customer_id = nullif(1 + floor(random() * 42), 41) "
    "where id in (select id from shop.visits order by random() limit 3)",
    "delete from shop.visits where id in "
    "(select id from shop.visits order by random() limit 3)",
)


@dataclass(frozen=True)
class Shop:
    """A project of a stranger, and its database."""

    root: Path
    database: Database

    def dbt(self, *arguments: str) -> str:
        """Run dbt; what it said.

        Raises:
            AssertionError: it failed.
        """
        parameters = parse_dsn(self.database.url)
        variables = environment(
            PGHOST=parameters["host"],
            PGPORT=parameters["port"],
            PGDATABASE=parameters["dbname"],
            PGUSER=parameters["user"],
            PGPASSWORD=parameters.get("password", ""),
            DBT_TARGET_PATH=str(self.root / "target"),
            DBT_LOG_PATH=str(self.root / "target"),
        )
        said: list[str] = []
        with mock.patch.dict(os.environ, variables):
            done = invoke_dbt(self.root, *arguments, said=said.append)
        if not done.success:
            raise AssertionError("\n".join(said))
        return "\n".join(said)

    def refresh(self) -> dict[str, str]:
        """Refresh all models as the README says, and compare each with its select.

        Returns:
            The method by model.
        """
        with self.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("select reports_refresh.before_refresh()")
            statements = [statement for (statement,) in cursor]
            connection.rollback()
            cursor.execute("set transaction isolation level repeatable read")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("select reports_refresh.hold()")
            assert cursor.fetchone() == (True,)
            cursor.execute("select model, method from reports_refresh.refresh_all()")
            methods = dict(cursor.fetchall())
            cursor.execute(
                "select model, reports_refresh.verify(model) "
                "from reports_refresh.models"
            )
            differences = dict(cursor.fetchall())
        assert differences == dict.fromkeys(differences, 0)
        return methods


@contextmanager
def made_shop(server_url: str, folder: Path) -> Iterator[Shop]:
    """The shop, whose project tracks its tables and was built."""
    shutil.copytree(PACKAGE, folder / "exact")
    with new_database(server_url) as database:
        made = Shop(folder / "exact" / "integration_tests", database)
        database.execute((made.root / "shop.sql").read_text("utf-8"))
        made.dbt("deps")
        for table in SOURCES:
            said = made.dbt(
                *("run-operation", "exact.track"),
                *("--args", f"{{table: shop.{table}}}"),
            )
            assert f"exact captures shop.{table}: id, " in said
        made.dbt("build")
        yield made


@pytest.fixture(scope="module")
def shop(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with made_shop(server_url, tmp_path_factory.mktemp("stranger")) as made:
        yield made


@pytest.fixture(scope="module")
def shop_15(
    second_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """On PostgreSQL 15."""
    with made_shop(second_server_url, tmp_path_factory.mktemp("stranger")) as made:
        yield made


@pytest.mark.parametrize("name", ["shop", "shop_15"])
def test_a_stranger_keeps_tables_exact_whatever_is_written(
    request: pytest.FixtureRequest, name: str
) -> None:
    shop: Shop = request.getfixturevalue(name)
    generator = random.Random(1)
    assert set(shop.refresh().values()) <= {"unchanged"}
    seen: dict[str, set[str]] = {}
    for _ in range(int(os.environ.get("SHOP_ROUNDS", "25"))):
        for statement in generator.sample(WRITES, generator.randint(1, 3)):
            shop.database.execute(statement)
        for model, method in shop.refresh().items():
            seen.setdefault(model, set()).add(method)
    deltas = {"visitors", "visit_gaps"}
    assert {model for model, methods in seen.items() if "delta" in methods} == deltas
    assert {model for model, methods in seen.items() if "full" in methods} == {
        "orders_total"
    }


def test_a_refresh_and_a_build_name_the_same_failing_tests(shop: Shop) -> None:
    # A null, a negative, an unknown value, and a value that two rows of a key have.
    shop.database.execute("alter table shop.orders alter amount_cents drop not null")
    shop.database.execute(
        "insert into shop.customers (name, region) values ('A', 'Far'), ('B', 'Off');"
        "insert into shop.orders (customer_id, amount_cents, status, ordered_at) "
        "select id, amount_cents, status, moment::timestamptz from shop.customers, "
        "(values (null::bigint, 'paid', '2031-01-05 00:00+00'), "
        "(-5, 'paid', '2031-02-05 00:00+00'), (1, 'lost', '2031-03-05 00:00+00')) "
        "as bad (amount_cents, status, moment) where region in ('Far', 'Off')"
    )
    try:
        shop.refresh()
        named = shop.database.execute(
            "select distinct unnest(failed_checks) from reports_refresh.runs "
            "where refreshed_at = (select max(refreshed_at) from reports_refresh.runs)"
        )
        with pytest.raises(AssertionError):
            shop.dbt("test")
    finally:
        shop.database.execute(
            "delete from shop.orders where ordered_at > '2031-01-01';"
            "delete from shop.customers where region in ('Far', 'Off')"
        )
        shop.refresh()
    results = json.loads((shop.root / "target" / "run_results.json").read_text())
    failed = {
        result["unique_id"].split(".")[2]
        for result in results["results"]
        if result["status"] == "fail"
    }
    assert {name for (name,) in named} == failed
    assert len(failed) == 4


def test_a_run_of_dbt_without_a_change_computes_nothing(shop: Shop) -> None:
    shop.dbt("run")
    said = shop.dbt("run")

    assert "UNCHANGED" not in said
    methods = shop.database.execute(
        "select distinct method from reports_refresh.models"
    )
    assert methods == [("unchanged",)]


def test_a_comment_in_a_select_computes_nothing(shop: Shop) -> None:
    path = shop.root / "models" / "marts" / "orders_weekly.sql"
    text = path.read_text("utf-8")
    shop.dbt("run")
    path.write_text(text.replace("count(*)", "count(*) /* of the week */"), "utf-8")
    try:
        shop.dbt("run", "--select", "orders_weekly")
    finally:
        path.write_text(text, "utf-8")

    assert shop.database.execute(
        "select method from reports_refresh.models where model = 'orders_weekly'"
    ) == [("unchanged",)]


def test_a_renamed_model_and_its_readers_keep_what_they_have_seen(shop: Shop) -> None:
    shop.dbt("run")
    models = shop.root / "models" / "marts"
    former = {path: path.read_text("utf-8") for path in models.glob("visit*.sql")}
    try:
        for path, text in former.items():
            path.write_text(text.replace("visit_days", "days_of_visits"), "utf-8")
        renamed = models / "days_of_visits.sql"
        (models / "visit_days.sql").rename(renamed)
        keys = '"keys": ["visit_date", "customer_id"],'
        text = renamed.read_text("utf-8")
        assert keys in text
        renamed.write_text(
            text.replace(keys, f'{keys} "renamed_from": "visit_days",'), "utf-8"
        )
        shop.database.execute("delete from shop.visits where id = 3")
        said = shop.dbt("run")
        assert '"reports"."visit_days" is now "reports"."days_of_visits"' in said
        methods = dict(
            shop.database.execute("select model, method from reports_refresh.models")
        )
        assert methods["days_of_visits"] == "partial"
        assert methods["visitors"] == methods["visit_gaps"] == "delta"
        assert shop.database.execute("select to_regclass('reports.visit_days')") == [
            (None,)
        ]
        shop.refresh()
    finally:
        (models / "days_of_visits.sql").unlink(missing_ok=True)
        for path, text in former.items():
            path.write_text(text, "utf-8")
    shop.dbt("run")


def test_equals_full_rebuild_fails_for_a_table_that_was_changed_by_hand(
    shop: Shop,
) -> None:
    path = shop.root / "models" / "marts" / "_marts.yml"
    path.write_text(
        "models:\n  - name: orders_weekly\n"
        "    data_tests: [exact.equals_full_rebuild]\n",
        "utf-8",
    )
    try:
        shop.dbt("test", "--select", "orders_weekly")
        shop.database.execute("update reports.orders_weekly set orders = orders + 1")
        with pytest.raises(AssertionError, match="Got 1 result"):
            shop.dbt("test", "--select", "orders_weekly")
    finally:
        path.unlink()
    shop.dbt("run", "--select", "orders_weekly", "--full-refresh")


def test_the_package_names_nothing_of_this_project() -> None:
    for path in PACKAGE.rglob("*.sql"):
        text = path.read_text("utf-8")
        assert "saas" not in text, path
        assert "usage_events" not in text, path


def test_the_version_is_that_of_the_package(shop: Shop) -> None:
    (line,) = [
        line
        for line in (PACKAGE / "dbt_project.yml").read_text("utf-8").splitlines()
        if line.startswith("version:")
    ]
    ((version,),) = shop.database.execute("select reports_refresh.version()")
    assert line == f'version: "{version}"'
