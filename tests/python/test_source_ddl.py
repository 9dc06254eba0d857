"""Whatever is done to a source table, marts are exact, or an error names the object."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors

from saas_analytics.errors import UserError
from saas_analytics.refresh import engine
from tests.python import source_ddl, support
from tests.python.references import OF_ANY_VALUES
from tests.python.source_ddl import TABLES, Source
from tests.python.support import Database, refusal, run, with_login
from tests.python.workload import SCHEMA

PASSWORD = "s3cret-of-a-role"


@pytest.fixture
def transformer(server_url: str, marts: Database) -> Iterator[Database]:
    """The company with its marts as the role sees it that builds and owns them."""
    suffix = uuid.uuid4().hex[:8]
    roles = {
        f"DB_{kind}_ROLE": f"{kind.lower()}_{suffix}"
        for kind in ("TRANSFORMER", "ANALYST", "APPLICATION")
    }
    run("roles", env=marts.environment(**roles)).check_returncode()
    name = roles["DB_TRANSFORMER_ROLE"]
    marts.execute(f"alter role {name} login password '{PASSWORD}'")
    try:
        yield Database(with_login(marts.url, name, PASSWORD))
    finally:
        for role in roles.values():
            marts.execute(f"drop owned by {role} cascade")
            Database(server_url).execute(f"drop role {role}")


def role_of(database: Database) -> str:
    ((name,),) = database.execute("select current_user")
    return str(name)


def refresh(database: Database, **options: Any) -> list[engine.Run]:
    with closing(database.connect()) as connection:
        return engine.refresh(connection, SCHEMA, **options)


@contextmanager
def source_of(marts: Database, transformer: Database) -> Iterator[Source]:
    with closing(marts.connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield Source(cursor, role_of(transformer))


def contents(marts: Database) -> list[tuple[Any, ...]]:
    return [
        row
        for mart in OF_ANY_VALUES
        for row in marts.execute(
            f"select md5(string_agg(row::text, '' order by row::text)) "
            f"from analytics.{mart} as row"
        )
    ]


# --- Any sequence ---------------------------------------------------------------------


def attempt(source: Source, step: Any, generator: random.Random) -> None:
    """One step of an application; what PostgreSQL refuses is undone."""
    source.cursor.execute("begin")
    try:
        source.cursor.execute("set local lock_timeout = '10s'")
        step(source, generator)
        source.cursor.execute("commit")
    except (
        errors.DependentObjectsStillExist,
        errors.DuplicateColumn,
        errors.FeatureNotSupported,
        errors.ObjectNotInPrerequisiteState,  # a publication without replica identity
        errors.UndefinedColumn,  # the application's own triggers
        errors.RaiseException,
        errors.UniqueViolation,
        errors.NotNullViolation,
        errors.CheckViolation,
        errors.ForeignKeyViolation,
    ):
        source.cursor.execute("rollback")


def repair(source: Source, marts: Database) -> None:
    """What the errors and advice of a refresh ask for."""
    environment = marts.environment(DB_TRANSFORMER_ROLE=source.transformer)
    for table in TABLES:
        former = source.name(table)
        source.do("alter table {former} disable row level security", former=former)
        source.do("alter table {former} no force row level security", former=former)
        if former.as_string(source.cursor) != table:
            rename = "alter table {former} rename to {table}"
            source.do(rename, former=former, table=table)
    for table in TABLES:
        # At least one column for what lost its triggers.
        kept = source.column(table, source_ddl.COLUMNS[table][0])
        run("capture", table, kept, env=environment).check_returncode()
    for (child,) in source.do(
        "select inhrelid::regclass::text "
        "from pg_inherits inner join pg_class on pg_class.oid = inhrelid "
        "where not relispartition and relkind = 'r'"
    ):
        source.do(f"drop table {child}")
    source.do(
        "grant usage on schema public to {role}, public; "
        "grant select on all tables in schema public to {role}",
        role=source.transformer,
    )


@pytest.mark.parametrize("seed", range(int(os.environ.get("SOURCE_SEEDS", "2"))))
def test_any_change_of_a_source_leaves_exact_marts_or_an_error_that_names_it(
    marts: Database, transformer: Database, seed: int
) -> None:
    generator = random.Random(seed)
    outcomes: list[str] = []
    with source_of(marts, transformer) as source:
        refresh(transformer)
        for _ in range(7):
            for _ in range(generator.randint(1, 2)):
                attempt(source, generator.choice(source_ddl.OPERATIONS), generator)
                attempt(source, Source.write, generator)
            before = contents(marts)
            database = generator.choice((transformer, transformer, marts))
            try:
                refresh(database)
            except (psycopg2.Error, UserError) as error:
                message = str(error)
                outcomes.append(message)
                assert re.search(
                    "|".join((*TABLES, "change_tombstones", "schema public")), message
                )
                assert contents(marts) == before
            else:
                outcomes.append("exact")
                assert source.disagreements() == {}, outcomes

        repair(source, marts)
        for _ in range(2):
            refresh(transformer)
            assert source.disagreements() == {}, outcomes
            attempt(source, Source.write, generator)


# --- One by one -----------------------------------------------------------------------


def change_some(source: Source) -> None:
    """Events that go and events that change hands, as in the sample."""
    names = {
        "events": source.name("usage_events"),
        "user": source.column("usage_events", "user_id"),
    }
    source.do(
        "delete from {events} where id in (select id from {events} limit 3)", **names
    )
    source.do(
        "update {events} set {user} = null where id in "
        "(select id from {events} where {user} is not null limit 3)",
        **names,
    )


def test_a_renamed_column_leaves_marts_exact_and_the_repair_is_said(
    marts: Database, transformer: Database
) -> None:
    with source_of(marts, transformer) as source:
        refresh(transformer)
        marts.execute("alter table usage_events rename column user_id to account_id")
        for _ in range(2):
            change_some(source)
            runs = {run.model: run for run in refresh(transformer)}
            assert source.disagreements() == {}
        assert runs["fct_usage_daily"].method == "full"
        (advice,) = runs["fct_usage_daily"].advice
        assert "capture usage_events`" in advice
        assert "not captured (it, or a column of it, has got another name)" in advice

        run("capture", "usage_events", env=marts.environment()).check_returncode()
        refresh(transformer)
        change_some(source)
        runs = {run.model: run for run in refresh(transformer)}
        assert source.disagreements() == {}
        assert runs["fct_usage_daily"].method == "partial"
        assert runs["fct_usage_daily"].advice == []


def test_a_column_that_had_another_name_for_a_while_loses_no_change(
    marts: Database, transformer: Database
) -> None:
    with source_of(marts, transformer) as source:
        refresh(transformer)
        marts.execute("alter table usage_events rename column user_id to account_id")
        change_some(source)
        marts.execute("alter table usage_events rename column account_id to user_id")
        refresh(transformer)
        assert source.disagreements() == {}


def test_a_renamed_table_or_schema_is_named_and_nothing_is_lost(
    marts: Database, transformer: Database
) -> None:
    with source_of(marts, transformer) as source:
        refresh(transformer)
        before = contents(marts)
        for there, back, named in (
            (
                "alter table licenses rename to contracts",
                "alter table contracts rename to licenses",
                r'source table "public"."licenses" is not there',
            ),
            (
                "alter schema public rename to app",
                "alter schema app rename to public",
                r'source table "public"."\w+" is not there',
            ),
        ):
            marts.execute(there)
            with pytest.raises(psycopg2.Error, match=named):
                refresh(transformer)
            marts.execute(back)
            assert contents(marts) == before
        change_some(source)
        refresh(transformer)
        assert source.disagreements() == {}


@pytest.mark.parametrize(
    ("table", "how"), [("usage_events", "enable"), ("change_tombstones", "force")]
)
def test_rows_that_a_policy_hides_are_not_taken_for_deleted(
    marts: Database, transformer: Database, table: str, how: str
) -> None:
    with source_of(marts, transformer) as source:
        refresh(transformer)
        before = contents(marts)
        marts.execute(f"alter table {table} enable row level security")
        if how == "force":
            marts.execute(f"alter table {table} force row level security")
            marts.execute(f"create policy most on {table} using (true)")
        change_some(source)
        message = refusal(support.refresh(transformer, "--verify"))
        assert f"row-level security hides rows of public.{table} from" in message
        assert f"alter table public.{table} disable row level" in message
        assert contents(marts) == before

        marts.execute(f"alter table {table} disable row level security")
        refresh(transformer)
        assert source.disagreements() == {}


def test_no_relation_that_a_command_reads_may_hide_rows(
    marts: Database, transformer: Database
) -> None:
    for relation in ("analytics.fct_usage_daily", f"{SCHEMA}.inputs"):
        marts.execute(
            f"alter table {relation} enable row level security, "
            "force row level security"
        )
        message = refusal(support.refresh(transformer))
        assert f"row-level security hides rows of {relation} from role" in message
        marts.execute(f"alter table {relation} no force row level security")
        marts.execute(f"alter table {relation} disable row level security")
    marts.execute("alter table usage_events enable row level security")
    nobody = "00000000-0000-0000-0000-000000000001"
    for command in (("partitions",), ("erase-user", nobody)):
        message = refusal(run(*command, env=transformer.environment()))
        assert 'security hides rows of "public"."usage_events" from' in message


def test_expectations_and_freshness_do_not_judge_hidden_rows(
    marts: Database, transformer: Database, tmp_path: Path
) -> None:
    marts.execute("alter table usage_events enable row level security")

    judged = subprocess.run(
        [sys.executable, "-m", "saas_analytics", "expectations"],
        cwd=support.ROOT,
        env=transformer.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 2
    assert 'row-level security hides rows of "public"."usage_events"' in judged.stderr

    dated = support.dbt("source", "freshness", database=transformer, target=tmp_path)
    assert dated.returncode != 0
    named = r"Row-level security hides rows of \S*usage_events"
    assert re.search(named, dated.stdout), dated.stdout


def test_with_a_publication_for_all_tables_marts_and_source_go_on(
    marts: Database, transformer: Database
) -> None:
    with source_of(marts, transformer) as source:
        refresh(transformer)
        marts.execute("create publication everything for all tables")
        change_some(source)
        refresh(transformer)
        assert source.disagreements() == {}
        marts.execute("select clear_change_tombstones(interval '0')")


@pytest.mark.parametrize(
    "right",
    [
        "select on usage_events",
        "select (user_id) on usage_events",
        "usage on schema public",
        "select on change_tombstones",
    ],
)
def test_without_a_right_a_refresh_names_what_it_may_not_read(
    marts: Database, transformer: Database, right: str
) -> None:
    role = role_of(transformer)
    with source_of(marts, transformer) as source:
        refresh(transformer)
        before = contents(marts)
        if right.startswith("select on usage_events"):
            marts.execute(f"revoke all on usage_events from {role}")
        marts.execute(f"revoke {right} from {role}, public")
        change_some(source)
        message = refusal(support.refresh(transformer))
        assert re.search(
            r"permission denied for (table usage_events|schema public"
            r"|table change_tombstones)",
            message,
        )
        assert contents(marts) == before
        marts.execute(f"grant {right} to {role}")
        if right == "select on usage_events":
            marts.execute(f"grant select on usage_events to {role}")
        refresh(transformer)
        assert source.disagreements() == {}


def test_only_an_index_on_a_whole_column_or_its_cut_name_finds_keys(
    marts: Database,
) -> None:
    marts.execute("drop index audit_logs_action_day_idx")
    marts.execute('alter table audit_logs add "cost [usd" text, add actions text')

    def has_index(expression: str) -> bool:
        (found,) = marts.execute(
            "select analytics_refresh._has_index("
            "jsonb_build_object('source', 'public.audit_logs'), "
            "jsonb_build_object('scope', jsonb_build_object('expression', %s)))",
            (expression,),
        )
        return bool(found[0])

    for key in (
        *("(length(action))", "(upper(action))", "(action || status)"),
        *("(status || action::varchar(201))", '(upper("cost [usd"))'),
        "(actions::varchar(201))",
    ):
        marts.execute(f"create index own on audit_logs ({key})")
        assert not has_index("action"), key
        marts.execute("drop index own")
    for column in ("action", '"cost [usd"'):
        for key in (column, f"({column}::varchar(201))"):
            assert not has_index(column)
            marts.execute(f"create index own on audit_logs ({key}, status)")
            assert has_index(column), key
            marts.execute("drop index own")
