"""A run keeps what others built on its relations, their privileges, and their peace."""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg2 import sql

from tests.python.support import Database, DbtProject, new_database

NAME = f"saas_kept_{os.getpid()}"
VIEW = "analytics_staging.stg_saas__error_logs"
VIEW_FILE = "models/staging/stg_saas__error_logs.sql"
SEED = "analytics_seeds.plans"

# Every kind of relation that dbt makes.
PARTS = (
    "--store-failures",
    *("--select", "+fct_errors_daily"),
    *("resource_type:seed", "resource_type:snapshot"),
    *("--exclude-resource-type", "unit_test"),
)

DEPENDENTS = {
    "view": "create view others.{name} as select * from {relation}",
    "materialized view": (
        "create materialized view others.{name} as select * from {relation}"
    ),
    "function": (
        "create function others.{name}() returns bigint language sql "
        "begin atomic select count(*) from {relation}; end"
    ),
    "type of a row": (
        "create function others.{name}({relation}) returns int language sql return 1"
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, parsed once."""
    return DbtProject.copy(
        tmp_path_factory.mktemp("kept"), domains=("operations", "usage")
    )


@pytest.fixture
def company(server_url: str, marts_template: str) -> Iterator[Database]:
    """A company with its marts, all of it this test's own."""
    with new_database(server_url, template=marts_template, name=NAME) as made:
        yield made


@pytest.fixture
def reader(company: Database) -> Iterator[str]:
    """A role that was granted something by hand."""
    name = f"reader {uuid.uuid4().hex[:8]}"
    company.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    yield name
    company.execute(
        sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(name))
    )


def relations(company: Database) -> list[str]:
    """Every table, view and materialized view of dbt, except the engine's own."""
    return [
        name
        for (name,) in company.execute(
            "select pg_class.oid::regclass::text from pg_class "
            "join pg_namespace on relnamespace = pg_namespace.oid "
            "where nspname like 'analytics%%' and nspname != 'analytics_refresh' "
            "and relkind in ('r', 'v', 'm') order by 1",
            (),
        )
    ]


def others(company: Database) -> list[tuple[object, ...]]:
    """What others built, by its identity."""
    return company.execute(
        "select oid, relname::text from pg_class "
        "where relnamespace = 'others'::regnamespace and relkind in ('v', 'm') "
        "union all select oid, proname::text from pg_proc "
        "where pronamespace = 'others'::regnamespace order by 2"
    )


def granted(company: Database, role: str) -> list[tuple[object, ...]]:
    """What a role was granted."""
    return company.execute(
        "select pg_class.oid::regclass::text, privilege_type from pg_class "
        "cross join aclexplode(relacl) as granted "
        "where grantee = to_regrole(quote_ident(%s)) order by 1, 2",
        (role,),
    )


def identity(company: Database, relation: str) -> tuple[object, ...]:
    """What changes when a relation is made again, or merely written."""
    (found,) = company.execute(
        "select oid, xmin::text, (select string_agg(xmin::text, ' ' order by oid) "
        "from pg_rewrite where ev_class = pg_class.oid) "
        "from pg_class where oid = to_regclass(%s)",
        (relation,),
    )
    return found


# --- What others built ----------------------------------------------------------------


def test_no_run_drops_what_others_built_on_any_relation_or_waits_for_who_reads_it(
    project: DbtProject, company: Database, reader: str
) -> None:
    chance = random.Random(1)
    with closing(company.connect()) as idle, idle.cursor() as reading:
        project.dbt("build", *PARTS, database=company)
        company.execute("create schema others")
        for number, relation in enumerate(relations(company)):
            kind = chance.choice(list(DEPENDENTS))
            name = f"on_{number}_{kind[0]}"
            company.execute(DEPENDENTS[kind].format(name=name, relation=relation))
            if chance.random() < 0.5:
                company.execute(
                    sql.SQL("grant select on {} to {}").format(
                        sql.SQL(relation), sql.Identifier(reader)
                    )
                )
        before = (others(company), granted(company, reader))
        assert len(before[0]) > 40
        # A transaction that has read every relation stays open meanwhile.
        for relation in relations(company):
            reading.execute(f"select from {relation} limit 1")
        company.execute(f"alter database {NAME} set lock_timeout = '5s'")

        for command in (
            ("build", *PARTS),
            ("build", *PARTS, "--full-refresh"),
            ("seed", "--full-refresh"),
        ):
            said = project.dbt(*command, database=company)
            for refusal in ("built on it", "depend", "lock timeout", "in use"):
                assert refusal not in said
            assert (others(company), granted(company, reader)) == before, command


def test_a_view_of_an_unchanged_select_is_not_touched(
    project: DbtProject, company: Database
) -> None:
    command = ("run", "--select", "stg_saas__error_logs")
    assert project.dbt(*command, database=company) == ""
    before = identity(company, VIEW)
    for options in ((), ("--full-refresh",)):
        assert project.dbt(*command, *options, database=company) == ""
        assert identity(company, VIEW) == before


def test_a_changed_select_replaces_a_view_in_place(
    project: DbtProject, company: Database, reader: str
) -> None:
    company.execute(
        f"create view theirs as select count(*) from {VIEW}; "
        f"alter view {VIEW} set (security_barrier = true)"
    )
    company.execute(
        sql.SQL("grant select on {} to {}").format(
            sql.SQL(VIEW), sql.Identifier(reader)
        )
    )
    oid, *_ = identity(company, VIEW)
    command = ("run", "--select", "stg_saas__error_logs")
    with project.altered(
        VIEW_FILE, {"where {{ plausible": "where severity != 'info' and {{ plausible"}
    ):
        assert project.dbt(*command, database=company) == ""
        assert identity(company, VIEW)[0] == oid
        ((definition, options),) = company.execute(
            "select pg_get_viewdef(oid), reloptions from pg_class "
            "where oid = %s::regclass",
            (VIEW,),
        )
        assert "'info'" in definition
        assert options == ["security_barrier=true"]
        assert granted(company, reader) == [(VIEW, "SELECT")]
        assert len(company.execute("select * from theirs")) == 1


def test_a_view_with_other_columns_is_refused_while_something_is_built_on_it(
    project: DbtProject, company: Database, reader: str
) -> None:
    company.execute(f"create materialized view theirs as select severity from {VIEW}")
    company.execute(
        sql.SQL("grant select on {} to {}").format(
            sql.SQL(VIEW), sql.Identifier(reader)
        )
    )
    before = identity(company, VIEW)
    command = ("run", "--select", "stg_saas__error_logs")
    with project.altered(
        VIEW_FILE, {'{{ name_of("severity") }}': "cast(severity as varchar(99))"}
    ):
        said = project.dbt(*command, database=company)
        assert "theirs is built on it: drop that first" in said
        assert identity(company, VIEW) == before

        company.execute("drop materialized view theirs")
        assert project.dbt(*command, database=company) == ""
        assert identity(company, VIEW)[0] != before[0]
        assert granted(company, reader) == [(VIEW, "SELECT")]


def test_a_seed_with_other_columns_is_refused_while_something_is_built_on_it(
    project: DbtProject, company: Database
) -> None:
    company.execute(f"create view theirs as select * from {SEED}")
    path = project.root / "seeds/plans.csv"
    former = path.read_text()
    before = company.execute("select * from theirs order by 1")
    path.write_text(
        "\n".join(
            line + (",more" if number == 0 else ",1")
            for number, line in enumerate(former.splitlines())
        )
        + "\n"
    )
    try:
        for options in ((), ("--full-refresh",)):
            said = project.dbt("seed", "--select", "plans", *options, database=company)
            assert "theirs is built on it: drop that first" in said
            assert company.execute("select * from theirs order by 1") == before
        company.execute("drop view theirs")
        assert project.dbt("seed", "--select", "plans", database=company) == ""
        assert company.execute(f"select count(more) from {SEED}") == [(len(before),)]
    finally:
        path.write_text(former)


# --- Readers --------------------------------------------------------------------------


def test_a_run_that_needs_a_view_names_who_reads_it_and_lets_others_read(
    project: DbtProject, company: Database
) -> None:
    said: list[str] = []
    command = ("run", "--select", "stg_saas__error_logs")
    with (
        project.altered(
            VIEW_FILE,
            {"where {{ plausible": "where severity != 'info' and {{ plausible"},
        ),
        closing(company.connect(application_name="a notebook")) as idle,
    ):
        pid = idle.info.backend_pid
        idle.cursor().execute(f"select from {VIEW} limit 1")
        running = threading.Thread(
            target=lambda: said.append(
                project.dbt(*command, database=company, DBT_LOCK_WAIT="3")
            )
        )
        running.start()
        # The server says how long a reader waits for its lock, on a busy machine too.
        while running.is_alive():
            company.execute(f"set lock_timeout = '1s'; select from {VIEW} limit 1")
            time.sleep(0.05)
    assert f"process {pid} (" in said[0]
    assert "a notebook, idle in transaction, in a transaction since 20" in said[0]
    assert "pg_terminate_backend" in said[0]
