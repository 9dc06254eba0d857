"""The OLTP schema keeps the application's contract, in the catalogue and in deeds.

The tests are generated from bootstrap/contract, and run on each server at hand.
"""

import datetime
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from tests.python import contract
from tests.python.contract import Column, Constraint, Lookup, columns_of
from tests.python.rows import Rows, sample
from tests.python.support import Database

CHECK_VIOLATION = "23514"
FOREIGN_KEY_VIOLATION = "23503"
NOT_NULL_VIOLATION = "23502"
RESTRICT_VIOLATION = "23001"
UNIQUE_VIOLATION = "23505"
TOO_LONG = "22001"
LARGEST_INTEGER = 2**31 - 1

ACTIONS = {"c": "cascade", "n": "set null", "r": "restrict", "a": "no action"}
KINDS = {"p": "primary key", "u": "unique", "f": "foreign key", "c": "check"}

each_table = pytest.mark.parametrize("table", contract.tables())


def each_constraint(*kinds: str) -> pytest.MarkDecorator:
    """A test for each rule of these kinds."""
    return pytest.mark.parametrize(
        "rule", [rule for rule in contract.constraints() if rule.kind in kinds], ids=str
    )


@pytest.fixture(scope="module")
def connection(module_database_on_each: Database) -> Iterator[Connection]:
    """One connection for all tests, each of which is rolled back."""
    made = module_database_on_each.connect()
    yield made
    made.close()


@pytest.fixture
def rows(connection: Connection) -> Iterator[Rows]:
    """Makes rows that are gone after the test."""
    with connection.cursor() as cursor:
        yield Rows(cursor)
    connection.rollback()


def refused(rows: Rows, table: str, **values: Any) -> tuple[str, set[str]]:
    """The SQLSTATE that refuses a row, and the columns of the violated constraint."""
    rows.cursor.execute("savepoint before_the_bad_row")
    with pytest.raises(psycopg2.Error) as caught:
        rows.make(table, **values)
    rows.cursor.execute("rollback to savepoint before_the_bad_row")
    error = caught.value
    assert error.pgcode is not None
    rows.cursor.execute(
        "select array_agg(attname::text) from pg_constraint "
        "join pg_attribute on attrelid = conrelid and attnum = any (conkey) "
        "where conname = %s and conrelid::regclass::text = %s",
        (error.diag.constraint_name, error.diag.table_name),
    )
    (constrained,) = rows.cursor.fetchone() or (None,)
    return error.pgcode, set(constrained or [error.diag.column_name])


# The catalogue ----------------------------------------------------------------------


@each_table
def test_each_column_has_its_type_nullability_and_default(
    rows: Rows, table: str
) -> None:
    rows.cursor.execute(
        "select attname, format_type(atttypid, atttypmod), not attnotnull, "
        "pg_get_expr(adbin, adrelid) from pg_attribute "
        "left join pg_attrdef on adrelid = attrelid and adnum = attnum "
        "where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        (table,),
    )
    found = {
        name: (column_type, is_nullable, readable_default(default))
        for name, column_type, is_nullable, default in rows.cursor.fetchall()
    }
    wanted = {
        column.name: (column.live_type, column.is_nullable, column.default)
        for column in columns_of(table).values()
    }
    assert {name: found.get(name) for name in wanted} == wanted
    for name, (_, is_nullable, default) in found.items():
        assert name in wanted or is_nullable or default, (
            f"{name} is new: the application does not fill it"
        )


def readable_default(expression: str | None) -> str:
    """A default as the contract writes it."""
    if expression in ("gen_random_uuid()", "uuidv7()"):
        return "random uuid"
    return (
        re.sub(r"::[a-z ]+$", "", expression or "")
        .replace("'{}'", "{}")
        .replace("{}", "'{}'")
    )


@each_table
def test_each_constraint_is_there_and_no_other(rows: Rows, table: str) -> None:
    rows.cursor.execute(
        "select contype::text, "
        "array(select attname::text from pg_attribute "
        "where attrelid = conrelid and attnum = any (conkey)), "
        "confrelid::regclass::text, confdeltype::text, "
        "convalidated and not condeferrable, "
        "confupdtype::text in ('a', ' ') and confmatchtype::text in ('s', ' '), "
        "pg_get_constraintdef(oid) "
        "from pg_constraint where conrelid = %s::regclass and contype <> 'n'",
        (table,),
    )
    found = []
    constraints = rows.cursor.fetchall()
    partition_columns = partition_columns_of(rows, table)
    for *described, is_immediate, is_plain, definition in constraints:
        kind, columns, referred, on_delete = described
        assert is_immediate
        assert is_plain
        if is_limit_of_wider_type(table, columns, definition):
            continue
        if kind == "p":
            columns = set(columns) - partition_columns
        rule = f"references {referred}.id, on delete {ACTIONS.get(on_delete)}"
        found.append((KINDS[kind], sorted(columns), rule if kind == "f" else ""))
    wanted = [
        (
            each.kind,
            sorted(each.columns),
            each.rule if each.kind == "foreign key" else "",
        )
        for each in contract.constraints_of(table)
    ]
    assert sorted(found) == sorted(wanted)


def is_limit_of_wider_type(table: str, columns: list[str], definition: str) -> bool:
    """Whether a constraint accepts all that the contract's own type can hold."""
    found = re.fullmatch(r"CHECK \(\((\w+) <= '?(\d+)'?(?:::bigint)?\)\)", definition)
    if not found or columns != [found[1]]:
        return False
    column = contract.column(table, found[1])
    return (
        column.type == "integer"
        and column.wider_type == "bigint"
        and int(found[2]) >= LARGEST_INTEGER
    )


def partition_columns_of(rows: Rows, table: str) -> set[str]:
    """The columns that a table is partitioned by."""
    rows.cursor.execute(
        "select attname from pg_partitioned_table join pg_attribute "
        "on attrelid = partrelid and attnum = any (partattrs) "
        "where partrelid = %s::regclass",
        (table,),
    )
    return {name for (name,) in rows.cursor.fetchall()}


@each_table
def test_no_index_is_unique_beyond_the_constraints(rows: Rows, table: str) -> None:
    rows.cursor.execute(
        "select indexrelid::regclass::text from pg_index "
        "where indrelid = %s::regclass and indisunique "
        "and not exists (select from pg_constraint where conindid = indexrelid)",
        (table,),
    )
    assert rows.cursor.fetchall() == []


@each_table
def test_no_index_repeats_another(rows: Rows, table: str) -> None:
    rows.cursor.execute(
        "select less.indexrelid::regclass::text, more.indexrelid::regclass::text "
        "from pg_index as less join pg_index as more "
        "on more.indrelid = less.indrelid and more.indexrelid <> less.indexrelid "
        "join pg_class as less_class on less_class.oid = less.indexrelid "
        "join pg_class as more_class on more_class.oid = more.indexrelid "
        "where less.indrelid = %s::regclass and less_class.relam = more_class.relam "
        "and not less.indisunique and more.indpred is null "
        "and (more.indkey::text || ' ') like (less.indkey::text || ' %%') "
        # A condition on another column makes an index of fewer rows.
        "and not exists (select from pg_depend "
        "where objid = less.indexrelid and refobjid = less.indrelid "
        "and refobjsubid <> all (more.indkey::smallint[]))",
        (table,),
    )
    assert rows.cursor.fetchall() == []


@pytest.mark.parametrize("lookup", contract.lookups(), ids=str)
def test_each_search_of_the_application_can_use_an_index(
    rows: Rows, lookup: Lookup
) -> None:
    conditions = [lookup.only_where] if lookup.only_where else []
    for name in lookup.columns:
        column = contract.column(lookup.table, name)
        if column.type != "boolean":
            operator = ">=" if lookup.is_by_range else "="
            value = rows.cursor.mogrify("%s", (searched_value(column),)).decode()
            conditions.append(f"{name} {operator} {value}")
    rows.cursor.execute("set local enable_seqscan = off")
    rows.cursor.execute(
        f"explain (costs off) select * from {lookup.table} "
        f"where {' and '.join(conditions)}"
    )
    plan = "\n".join(line for (line,) in rows.cursor.fetchall())
    assert "Seq Scan" not in plan, plan
    for name in lookup.columns:
        # A partial index may say by its condition alone what it finds.
        assert name in lookup.only_where or re.search(
            rf"Index Cond: .*\b{name}\b", plan
        ), plan


def searched_value(column: Column) -> Any:
    """A value that the column may hold."""
    for rule in contract.constraints_of(column.table):
        if rule.columns == (column.name,):
            if rule.choices:
                return rule.choices[-1]
            if rule.bounds:
                return rule.bounds[1] or rule.bounds[0]
    return sample(column, 1)


# What the tables do -----------------------------------------------------------------


@each_table
def test_defaults_fill_what_is_left_out(rows: Rows, table: str) -> None:
    made = rows.make(table)
    rows.cursor.execute("select now()")
    (now,) = rows.cursor.fetchone() or (None,)
    for column in columns_of(table).values():
        value = made[column.name]
        if column.default == "random uuid":
            assert uuid.UUID(value).variant == uuid.RFC_4122
        elif column.default == "now()":
            assert value == now, column.name
        elif column.default == "'{}'":
            assert value == {}, column.name
        elif column.default:
            assert value == literal(column), column.name
        elif column.is_nullable:
            assert value is None, column.name
    if "id" in made:
        assert made["id"] != rows.make(table)["id"]


def literal(column: Column) -> Any:
    """The value of a default that is a literal."""
    if column.default.startswith("'"):
        return column.default.strip("'")
    if column.type == "boolean":
        return column.default == "true"
    return Decimal(column.default)


@each_table
def test_null_is_refused_where_it_must_be_and_taken_elsewhere(
    rows: Rows, table: str
) -> None:
    optional: dict[str, None] = {}
    for column in columns_of(table).values():
        if column.is_nullable:
            optional[column.name] = None
        else:
            assert refused(rows, table, **{column.name: None}) == (
                NOT_NULL_VIOLATION,
                {column.name},
            )
    assert {name: rows.make(table, **optional)[name] for name in optional} == optional


@each_table
def test_text_fills_its_column_and_no_more(rows: Rows, table: str) -> None:
    chosen = {
        rule.columns[0] for rule in contract.constraints_of(table) if rule.choices
    }
    for column in columns_of(table).values():
        if column.longest is not None and column.name not in chosen:
            longest = "é" * column.longest
            assert rows.make(table, **{column.name: longest})[column.name] == longest
            code, _ = refused(rows, table, **{column.name: longest + "é"})
            assert code == TOO_LONG


@pytest.mark.parametrize(
    "column",
    [column for column in contract.columns() if column.wider_type],
    ids=lambda column: f"{column.table}.{column.name}",
)
def test_a_widened_column_passes_the_old_limit(rows: Rows, column: Column) -> None:
    beyond = 2**31
    made = rows.make(
        column.table,
        **{column.name: beyond, **partners(column.table, column.name, beyond)},
    )
    assert made[column.name] == beyond


def partners(table: str, name: str, number: Any) -> dict[str, Any]:
    """What else a row must say so that a column may be as large as this."""
    return {
        limit: max(number, 1)
        for terms, limit in filter(
            None, (rule.at_most for rule in contract.constraints_of(table))
        )
        if name in terms
    }


@pytest.mark.parametrize(
    "table", [each for each in contract.tables() if "updated_at" in columns_of(each)]
)
def test_an_update_sets_updated_at_to_the_transactions_time(
    rows: Rows, table: str
) -> None:
    long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
    made = rows.make(table, updated_at=long_ago)
    assert made["updated_at"] == long_ago
    rows.cursor.execute(
        f"update {table} set created_at = created_at where id = %s "
        "returning updated_at = now()",
        (made["id"],),
    )
    assert rows.cursor.fetchall() == [(True,)]


@each_constraint("check")
def test_a_check_refuses_bad_values_and_takes_good_ones(
    rows: Rows, rule: Constraint
) -> None:
    if rule.at_most:
        terms, limit = rule.at_most
        enough = {**dict.fromkeys(terms, 0), terms[-1]: 10, limit: 10}
        rows.make(rule.table, **enough)
        rows.make(rule.table, **{**enough, terms[-1]: 0})
        for term in terms:
            too_much = {**enough, term: enough[term] + 1}
            code, columns = refused(rows, rule.table, **too_much)
            assert (code, columns) == (CHECK_VIOLATION, set(rule.columns))
        return

    (name,) = rule.columns
    good, bad = values_for(rule)
    for value in good:
        made = rows.make(
            rule.table, **{name: value, **partners(rule.table, name, value)}
        )
        assert made[name] == value
    for value in bad:
        code, columns = refused(rows, rule.table, **{name: value})
        assert code == CHECK_VIOLATION, value
        assert name in columns, value


def values_for(rule: Constraint) -> tuple[list[Any], list[Any]]:
    """Values that a rule on one column takes, and values that it refuses."""
    (name,) = rule.columns
    if rule.choices:
        first = rule.choices[0]
        return list(rule.choices), ["", "other", first.swapcase(), f"{first} "]
    assert rule.bounds is not None
    step = contract.column(rule.table, name).step
    lowest, highest = rule.bounds
    good = [bound for bound in (lowest, highest) if bound is not None]
    bad = [] if lowest is None else [lowest - step]
    if highest is None:
        good.append(good[0] + 1000)
    else:
        bad.append(highest + step)
    return good, bad


@each_constraint("unique", "primary key")
def test_a_key_refuses_a_second_row_and_takes_others(
    rows: Rows, rule: Constraint
) -> None:
    table = rule.table
    given: dict[str, Any] = {
        name: rows.value(contract.column(table, name))
        if name != "id"
        else str(uuid.uuid4())
        for name in rule.columns
    }
    # A partitioned table's key holds within one moment.
    rest = dict.fromkeys(partition_columns_of(rows, table), "2026-03-01 00:00+00")
    rows.make(table, **given, **rest)
    code, columns = refused(rows, table, **given, **rest)
    assert (code, columns) == (UNIQUE_VIOLATION, {*rule.columns, *rest})

    for name in rule.columns:
        column = contract.column(table, name)
        if name != "month":
            other = str(uuid.uuid4()) if name == "id" else rows.value(column)
        else:
            other = given[name] + 1
        if other != given[name]:
            rows.make(table, **{**given, name: other}, **rest)
        if column.is_nullable:
            # Nulls differ from each other.
            for _ in range(2):
                rows.make(table, **{**given, name: None}, **rest)


@each_constraint("foreign key")
def test_a_reference_refuses_strangers_and_follows_its_row(
    rows: Rows, rule: Constraint
) -> None:
    (name,) = rule.columns
    referred, on_delete = rule.reference
    code, columns = refused(rows, rule.table, **{name: str(uuid.uuid4())})
    assert (code, columns) == (FOREIGN_KEY_VIOLATION, {name})

    target = rows.make(referred)["id"]
    made = rows.make(rule.table, **{name: target})
    other = rows.make(rule.table)
    delete = f"delete from {referred} where id = %s"
    if on_delete == "restrict":
        with pytest.raises(psycopg2.IntegrityError) as caught:
            rows.cursor.execute(delete, (target,))
        assert caught.value.pgcode in (RESTRICT_VIOLATION, FOREIGN_KEY_VIOLATION)
        return

    rows.cursor.execute(delete, (target,))
    assert rows.cursor.rowcount == 1
    now = {each["id"]: each for each in table_rows(rows, rule.table)}
    if "updated_at" in other:
        assert now[other["id"]] == other
    if on_delete == "cascade":
        assert made["id"] not in now
    else:
        assert on_delete == "set null"
        assert now[made["id"]] == {**made, name: None}


def table_rows(rows: Rows, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    rows.cursor.execute(f"select * from {table}")
    assert rows.cursor.description is not None
    names = [field.name for field in rows.cursor.description]
    return [dict(zip(names, row, strict=True)) for row in rows.cursor.fetchall()]


@each_constraint("foreign key")
def test_a_reference_may_be_changed_only_to_a_row_that_is_there(
    rows: Rows, rule: Constraint
) -> None:
    (name,) = rule.columns
    made = rows.make(rule.table)
    target = rows.make(rule.reference[0])["id"]
    update = f"update {rule.table} set {name} = %s where id = %s"
    rows.cursor.execute(update, (target, made["id"]))
    assert rows.cursor.rowcount == 1
    with pytest.raises(errors.ForeignKeyViolation):
        rows.cursor.execute(update, (str(uuid.uuid4()), made["id"]))
