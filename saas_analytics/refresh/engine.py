"""Calls of the refresh engine that dbt installs in the database (packages/exact)."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import starmap

from psycopg2 import errors, sql
from psycopg2.extensions import (
    ISOLATION_LEVEL_READ_COMMITTED,
    ISOLATION_LEVEL_REPEATABLE_READ,
)
from psycopg2.extensions import connection as Connection

from saas_analytics.database import limits, waiting
from saas_analytics.errors import Busy, UserError

# How often a run starts again after another process changed a relation before it.
ATTEMPTS = 5


class _Late(Exception):
    """A relation that the run reads was emptied or replaced after its snapshot."""


@dataclass(frozen=True)
class Run:
    """The outcome of a refresh for one model."""

    model: str
    method: str
    """unchanged, partial, delta or full: see docs/design/exact-marts.md."""
    key_count: int | None
    rows_removed: int
    rows_added: int
    milliseconds: float
    failed_checks: list[str]
    """Data tests that the written rows fail."""
    advice: list[str] = field(default_factory=list)
    """Why a model with keys was fully refreshed, and how to make it cheaper."""

    @property
    def is_unchanged(self) -> bool:
        """Whether no row of the model changed."""
        return self.rows_removed + self.rows_added == 0


def refresh(
    connection: Connection,
    schema: str,
    *,
    models: Sequence[str] = (),
    rebuild: bool = False,
    inspect: Callable[[Connection], None] | None = None,
    wait_seconds: float = 60,
    run_seconds: float = 0,
) -> list[Run]:
    """Refresh models, all by default, in one transaction and one snapshot.

    Args:
        connection: it must not be in a transaction.
        schema: where the engine lives, `<marts schema>_refresh`.
        models: names; what they read is not refreshed with them.
        rebuild: recompute the models from all rows.
        inspect: called at the end of the transaction; its exception rolls back.
        wait_seconds: how long other processes may hold a lock that this run needs.
        run_seconds: how long a statement may take; 0 for no limit.

    Raises:
        Busy: another process held a lock for longer, or kept changing relations.
        UserError: there are no marts yet, or a model is unknown.
    """
    connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with connection:
                _begin(connection, schema, models, wait_seconds, run_seconds)
                runs = _run(connection, schema, models, rebuild)
                if inspect is not None:
                    inspect(connection)
            return runs
        except (errors.SerializationFailure, errors.DeadlockDetected, _Late):
            if attempt == ATTEMPTS:
                raise Busy(
                    "other processes kept changing the marts or their inputs: run "
                    "it again, or one run at a time"
                ) from None
        except errors.LockNotAvailable:
            who = _holders(connection, schema) or "a process that has ended since"
            raise Busy(
                f"the marts have been held for {wait_seconds:g} s by {who}: try again "
                "later, end it with `select pg_terminate_backend(pid)`, or wait longer "
                "with --wait"
            ) from None
    raise AssertionError


def forget(connection: Connection, schema: str) -> None:
    """Delete the before-images and logs that all runs have read: they name persons.

    Args:
        connection: it must not be in a transaction.
        schema: where the engine lives, `<marts schema>_refresh`.
    """
    connection.set_session(isolation_level=ISOLATION_LEVEL_READ_COMMITTED)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select to_regproc(format('%%I.forget', %s::text)) is not null",
            (schema,),
        )
        if cursor.fetchone() == (True,):
            cursor.execute(sql.SQL("select {}.forget()").format(sql.Identifier(schema)))


def _holders(connection: Connection, schema: str) -> str | None:
    """The processes whose locks block a refresh's logs, inputs or marts."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "select model.log, model.relation, array(select name "
                "from jsonb_array_elements(model.inputs) as input "
                "cross join unnest(array[input ->> 'log', input ->> 'relation', "
                "input ->> 'source']) as name where name is not null) "
                "from {}.models as model"
            ).format(sql.Identifier(schema))
        )
        rows = cursor.fetchall()
        return waiting.holders(
            connection,
            [
                ({log for log, _, _ in rows}, waiting.QUEUE),
                ({relation for _, relation, _ in rows}, waiting.WRITE),
                ({name for _, _, names in rows for name in names}, waiting.READ),
            ],
        )


def _begin(
    connection: Connection,
    schema: str,
    models: Sequence[str],
    wait_seconds: float,
    run_seconds: float,
) -> None:
    """Queue behind other runs, lock the inputs, then take the snapshot.

    The locks keep other processes from truncating or replacing an input: the snapshot
    would see it as empty.
    """
    with connection.cursor() as cursor:
        engine = sql.Identifier(schema)
        try:
            cursor.execute(
                sql.SQL("select model from {}.models order by model").format(engine)
            )
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            raise UserError(
                "there are no marts to refresh yet: run `make build` first"
            ) from None
        present = [name for (name,) in cursor]
        chosen = list(models) or None
        try:
            cursor.execute(
                sql.SQL("select {}.before_refresh(%s)").format(engine), (chosen,)
            )
        except errors.UndefinedFunction:
            raise UserError(
                "the marts were built by an earlier version: run `make build` first"
            ) from None
        statements = [statement for (statement,) in cursor]
        _refuse_unknown(models, present)
        # This read took a snapshot. The next transaction takes its own after the locks.
        limit = limits.statements(connection, run_seconds)
        connection.rollback()
        cursor.execute(limit)
        cursor.execute("set local lock_timeout = %s", (f"{wait_seconds * 1000:.0f}ms",))
        for statement in statements:
            cursor.execute(statement)
        cursor.execute(sql.SQL("select {}.hold(%s)").format(engine), (chosen,))
        if cursor.fetchone() != (True,):
            raise _Late


def _refuse_unknown(models: Sequence[str], present: Sequence[str]) -> None:
    if not present:
        raise UserError("there are no marts to refresh yet: run `make build` first")
    for model in models:
        if model not in present:
            close = difflib.get_close_matches(model, present)
            advice = (
                f"did you mean {' or '.join(close)}?"
                if close
                else "docs/reference/marts.md lists the marts"
            )
            raise UserError(f"there is no model {model} to refresh: {advice}")


def _run(
    connection: Connection, schema: str, models: Sequence[str], rebuild: bool
) -> list[Run]:
    with connection.cursor() as cursor:
        if rebuild:
            cursor.execute(
                sql.SQL(
                    "update {}.models set is_stale = true "
                    "where %s = '{{}}' or model = any (%s)"
                ).format(sql.Identifier(schema)),
                (list(models), list(models)),
            )
        cursor.execute(
            sql.SQL(
                "select model, method, key_count, rows_removed, rows_added, "
                "milliseconds::float, failed_checks from {}.refresh_all(%s)"
            ).format(sql.Identifier(schema)),
            (list(models) or None,),
        )
        runs = list(starmap(Run, cursor.fetchall()))
        cursor.execute(
            sql.SQL(
                "select model, sentence from unnest(%s::text[]) as model, "
                "{}.advice(model) as sentence"
            ).format(sql.Identifier(schema)),
            ([run.model for run in runs if run.method == "full"],),
        )
        for model, sentence in cursor:
            next(run for run in runs if run.model == model).advice.append(sentence)
        return runs


def verify(connection: Connection, schema: str, models: Sequence[str] = ()) -> None:
    """Compare models, all by default, with what their selects give now.

    Raises:
        UserError: one differs.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "select model, {0}.verify(model) as differences from {0}.models "
                "where %s = '{{}}' or model = any (%s)"
            ).format(sql.Identifier(schema)),
            (list(models), list(models)),
        )
        wrong = [f"{model} in {rows:,} rows" for model, rows in cursor if rows]
    if wrong:
        raise UserError(
            f"marts would differ from their select ({', '.join(wrong)}), and the run "
            "was rolled back: report it, and rebuild them with --rebuild"
        )
