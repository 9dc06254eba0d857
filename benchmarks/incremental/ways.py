"""The ways to keep marts: the engine's, and those that dbt has."""

import datetime
import re
import time
from collections.abc import Iterable

from benchmarks.incremental.company import Company
from benchmarks.incremental.marts import ENGINE, WINDOWS, Model, Window

LOOKBACK_DAYS = 30


def refresh_all(company: Company) -> dict[str, float]:
    """The engine's run of all models in one snapshot: seconds by model and in all."""
    began = time.perf_counter()
    runs = company.execute(
        "begin isolation level repeatable read; "
        "create temporary table benchmark_runs on commit preserve rows as "
        f"select * from {ENGINE}.refresh_all(); commit; "
        "select model, milliseconds from benchmark_runs"
    )
    elapsed = time.perf_counter() - began
    company.execute("drop table benchmark_runs")
    return {"all": elapsed} | {model: float(value) / 1000 for model, value in runs}


def rebuild_all(company: Company) -> dict[str, float]:
    """The engine's full rebuild of all models in a refresh, rolled back."""
    runs = company.execute(
        f"begin isolation level repeatable read; update {ENGINE}.models "
        f"set is_stale = true; select model, milliseconds from {ENGINE}.refresh_all()"
    )
    company.execute("rollback")
    company.settle()
    return {model: float(value) / 1000 for model, value in runs}


def methods(company: Company) -> dict[str, str]:
    """The engine's method of the last refresh, by model."""
    return dict(company.execute(f"select model, method from {ENGINE}.models"))


def rebuild(company: Company, model: Model) -> float:
    """The engine's full rebuild."""
    return _timed(
        company,
        "begin isolation level repeatable read; "
        f"select * from {ENGINE}.refresh('{model.name}', true); commit",
    )


def create_table(company: Company, model: Model) -> float:
    """dbt's `table` without a contract, swap included."""
    table = f"plain.{model.name}"
    indexes = "; ".join(index.format(table=f"{table}_new") for index in model.indexes)
    return _timed(
        company,
        f"begin; create table {table}_new as {model.select}; {indexes}; "
        f"drop table if exists {table}; "
        f"alter table {table}_new rename to {model.name}; commit",
    )


def read_inputs(company: Company, model: Model) -> float:
    """A scan of a model's source rows with the columns that it reads."""
    seconds = 0.0
    for each in model.inputs:
        if each["kind"] == "source":
            ((columns,),) = company.execute(
                "select array_agg(attname::text) from pg_attribute "
                "where attrelid = %s::regclass and attnum > 0",
                (each["relation"],),
            )
            counts = ", ".join(
                f"count({column})"
                for column in columns
                if re.search(rf"\b{column}\b", model.select)
            )
            seconds += _timed(company, f"select {counts} from {each['relation']}")
    return seconds


def compute(company: Company, model: Model) -> float:
    """The select of a model with a refresh's memory, its rows thrown away."""
    return _timed(
        company,
        f"""
        begin;
        select set_config('work_mem', split_part(setting, '=', 2), true)
        from pg_proc cross join unnest(proconfig) as setting
        where oid = '{ENGINE}.refresh'::regproc and setting like 'work_mem=%';
        explain (analyze, timing off) {model.select};
        commit
        """,
    )


def prepare_windows(company: Company, models: dict[str, Model]) -> None:
    """Tables for the ways below, made of all history, with the marts' own indexes."""
    company.execute("create schema lookback; create schema microbatch")
    for name, window in WINDOWS.items():
        for schema in ("lookback", "microbatch"):
            table = f"{schema}.{name}"
            company.execute(f"create table {table} as {models[name].select}")
            for index in models[name].indexes:
                company.execute(index.format(table=table))
            if schema == "microbatch":
                company.execute(f"create index on {table} ({', '.join(window.grain)})")
            company.execute(f"analyze {table}")


def lookback(company: Company, model: Model) -> float:
    """dbt's `incremental` by delete+insert, for the last 30 days."""
    window = WINDOWS[model.name]
    table = f"lookback.{model.name}"
    # In months: the last one and the one before.
    first = (
        f"(select max({window.period}) - {LOOKBACK_DAYS} from {table})"
        if window.unit == "day"
        else f"(select max({window.period}) - interval '1 month' from {table})"
    )
    return _timed(
        company,
        f"""
        begin;
        create temporary table dbt_tmp as {_since(model, f"occurred_at >= {first}")};
        delete from {table} as dbt_internal_dest
        where ({window.period}) in (
            select distinct {window.period} from dbt_tmp as dbt_internal_source
        );
        insert into {table} select * from dbt_tmp;
        commit;
        drop table dbt_tmp
        """,
    )


def microbatch(company: Company, model: Model) -> float:
    """dbt's microbatch as dbt-postgres has it: a merge for each day of the lookback."""
    window = WINDOWS[model.name]
    table = f"microbatch.{model.name}"
    ((last, columns),) = company.execute(
        f"select (select max({window.period}) from {model.relation}), "
        "(select array_agg(attname::text order by attnum) from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0)",
        (table,),
    )
    return sum(
        _timed(company, _batch(model, window, table, columns, start, stop))
        for start, stop in batches(window.unit, last)
    )


def batches(
    unit: str, last: datetime.date
) -> Iterable[tuple[datetime.date, datetime.date]]:
    """Days, or months, of the lookback up to the last one."""
    if unit == "day":
        for back in range(LOOKBACK_DAYS, -1, -1):
            start = last - datetime.timedelta(days=back)
            yield start, start + datetime.timedelta(days=1)
    else:
        previous = (last - datetime.timedelta(days=1)).replace(day=1)
        yield previous, last
        yield last, (last + datetime.timedelta(days=31)).replace(day=1)


def _batch(
    model: Model,
    window: Window,
    table: str,
    columns: list[str],
    start: datetime.date,
    stop: datetime.date,
) -> str:
    names = ", ".join(columns)
    match = " and ".join(
        f"(dbt_internal_source.{name} = dbt_internal_dest.{name})"
        for name in window.grain
    )
    updates = ", ".join(f"{name} = dbt_internal_source.{name}" for name in columns)
    values = ", ".join(f"dbt_internal_source.{name}" for name in columns)
    rows = _since(
        model,
        f"occurred_at >= '{start} 00:00:00+00' and occurred_at < '{stop} 00:00:00+00'",
    )
    return f"""
        begin;
        create temporary table dbt_tmp as {rows};
        merge into {table} as dbt_internal_dest
        using dbt_tmp as dbt_internal_source on {match}
        when matched then update set {updates}
        when not matched then insert ({names}) values ({values});
        commit;
        drop table dbt_tmp
    """


def wrong_rows(company: Company, table: str, model: Model) -> int:
    """In how many rows a table differs from its model's select, which it reads once."""
    # By name: dbt gave the table its columns in another order.
    ((names,),) = company.execute(
        "select string_agg(quote_ident(attname), ', ' order by attnum) "
        "from pg_attribute where attrelid = %s::regclass "
        "and attnum > 0 and not attisdropped",
        (table,),
    )
    ((count,),) = company.execute(
        f"select count(*) from (select from (select {names}, 1 as sign "
        f"from ({model.select}) as made union all select {names}, -1 from {table}) "
        f"as both_sides group by {names} having sum(sign) != 0) as wrong"
    )
    return int(count)


def _since(model: Model, condition: str) -> str:
    """The model's select over some time of its events."""
    view = f'"analytics_staging"."{WINDOWS[model.name].source}"'
    assert view in model.select, model.select
    return model.select.replace(view, f"(select * from {view} where {condition})")


def _timed(company: Company, statements: str) -> float:
    began = time.perf_counter()
    company.execute(statements)
    return time.perf_counter() - began
