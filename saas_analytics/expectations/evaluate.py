"""Evaluates suites: reads their datasets in one snapshot, and has GX compare them."""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent.interfaces import Batch
from great_expectations.expectations.expectation import Expectation
from psycopg2 import DataError, errors, extensions, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from saas_analytics.errors import UserError
from saas_analytics.expectations import history
from saas_analytics.expectations.datasets import Dataset, Recorded
from saas_analytics.expectations.suites import Check, Suite
from saas_analytics.settings import Settings

MOST_FAILED_ROWS = 20
"""How many failed rows a result shows at most."""

State = Literal["passed", "failed", "insufficient history"]


@dataclass(frozen=True)
class CheckResult:
    """The result of one check."""

    check: Check
    state: State
    expected: str
    observed: str
    failed_rows: list[dict[str, str]]
    """The first rows that fail the check; empty for rows of single persons."""

    def line(self) -> str:
        """The result in one line."""
        text = f"{self.check.title}: {self.observed}, expected {self.expected}"
        if self.failed_rows:
            first = ", ".join(
                f"{name} {value}" for name, value in self.failed_rows[0].items()
            )
            text += f"; for example {first}"
        return text


@dataclass(frozen=True)
class Reading:
    """All datasets of a run, from one snapshot."""

    rows: Mapping[Dataset, pd.DataFrame]
    earlier: pd.DataFrame
    """The recorded values of earlier runs."""

    today: dt.date
    """In the reporting time zone."""


def run(
    connection: Connection, settings: Settings, suites: Mapping[str, Suite]
) -> dict[str, list[CheckResult]]:
    """Evaluate the checks, by suite, and record the measured values.

    Raises:
        UserError: marts are missing, or a suite has a mistake.
    """
    connection.set_session(
        isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True
    )
    with connection, connection.cursor() as cursor:
        reading = read(cursor, settings, suites)
    connection.set_session(isolation_level="default", readonly="default")
    history.install(connection, settings)
    history.write(connection, settings, reading.today, _measured(reading.rows))
    return evaluate(suites, reading)


# --- Reading --------------------------------------------------------------------------


def read(cursor: Cursor, settings: Settings, suites: Mapping[str, Suite]) -> Reading:
    """Read the datasets of the checks, in the cursor's transaction.

    Raises:
        UserError: marts are missing.
    """
    zone = _reporting_timezone(cursor, settings)
    names = {
        "marts": sql.Identifier(settings.marts_schema),
        "staging": sql.Identifier(f"{settings.marts_schema}_staging"),
        "seeds": sql.Identifier(f"{settings.marts_schema}_seeds"),
        "source": sql.Identifier(settings.source_schema),
        "zone": sql.Literal(zone),
    }
    checks = [check for suite in suites.values() for check in suite.checks]
    _read_numbers_as_floats(cursor)
    today = _today(cursor, zone)
    rows: dict[Dataset, pd.DataFrame] = {}
    for check in checks:
        if check.dataset not in rows:
            rows[check.dataset] = _select(cursor, check, names)
    return Reading(rows, history.read(cursor, settings, today), today)


def _reporting_timezone(cursor: Cursor, settings: Settings) -> str:
    """The time zone in which the marts were built.

    Raises:
        UserError: the marts are missing, of an earlier version, or were built in
            several time zones or as of several times.
    """
    models = sql.Identifier(f"{settings.marts_schema}_refresh", "models")
    try:
        cursor.execute(sql.SQL("select distinct zone, as_of from {}").format(models))
    except (errors.UndefinedTable, errors.UndefinedColumn):
        raise UserError("marts are missing: run `make build` first") from None
    found = cursor.fetchall()
    zones = sorted({zone for zone, _ in found})
    # Null for a model that doesn't read the present time.
    presents = sorted({as_of for _, as_of in found if as_of})
    if not zones:
        raise UserError("marts are missing: run `make build` first")
    if len(zones) > 1:
        raise UserError(
            f"the marts are in {' and '.join(zones)}: build all of them in one zone, "
            "with `make build`"
        )
    if len(presents) > 1:
        raise UserError(
            f"the marts are as of {' and '.join(presents)}: build all of them as of "
            "one time, with `make build`"
        )
    return str(zones[0])


def _today(cursor: Cursor, zone: str) -> dt.date:
    cursor.execute("select (now() at time zone %s)::date", (zone,))
    (today,) = cursor.fetchone() or (None,)
    assert isinstance(today, dt.date)
    return today


def _select(
    cursor: Cursor, check: Check, names: Mapping[str, sql.Composable]
) -> pd.DataFrame:
    try:
        cursor.execute(sql.SQL(check.dataset.query).format(**names))
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        missing = error.diag.message_primary
        raise UserError(f"{missing}: run `make build` first") from None
    except DataError as error:
        reason = error.diag.message_primary
        raise UserError(
            f'the check "{check.title}" can\'t be evaluated: {reason}'
        ) from None
    columns = [column.name for column in cursor.description or ()]
    return pd.DataFrame(cursor.fetchall(), columns=columns)


def _read_numbers_as_floats(cursor: Cursor) -> None:
    """Read the type numeric as float; by default psycopg2 returns Decimal."""
    oids = extensions.DECIMAL.values
    extensions.register_type(
        extensions.new_type(oids, "FLOAT", extensions.FLOAT), cursor
    )


def _measured(
    rows: Mapping[Dataset, pd.DataFrame],
) -> Iterable[tuple[str, str, float]]:
    for dataset, frame in rows.items():
        if isinstance(dataset, Recorded):
            for part, value in zip(frame["part"], frame["value"], strict=True):
                if pd.notna(value):
                    yield dataset.measure, str(part), float(value)


# --- Evaluation -----------------------------------------------------------------------


def evaluate(
    suites: Mapping[str, Suite], reading: Reading
) -> dict[str, list[CheckResult]]:
    """Evaluate the checks, by suite.

    Raises:
        UserError: a suite has a mistake.
    """
    frames = {
        dataset: dataset.with_usual(rows, _history_of(dataset, reading.earlier))
        for dataset, rows in reading.rows.items()
    }
    batches = _batches(frames)
    return {
        name: [
            _result(check, frames[check.dataset], batches[check.dataset])
            for check in suite.checks
        ]
        for name, suite in suites.items()
    }


def _history_of(dataset: Dataset, earlier: pd.DataFrame) -> pd.DataFrame:
    measure = dataset.measure if isinstance(dataset, Recorded) else None
    return earlier[earlier["measure"] == measure]


def _batches(frames: Mapping[Dataset, pd.DataFrame]) -> dict[Dataset, Batch]:
    """The datasets as Great Expectations reads them. It writes nothing to disk."""
    # Great Expectations logs each failure that the results already contain.
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(
        globally=False, metric_calculations=False
    )
    source = context.data_sources.add_pandas("datasets")
    batches = {}
    for number, (dataset, frame) in enumerate(frames.items()):
        asset = source.add_dataframe_asset(f"dataset {number}")
        definition = asset.add_batch_definition_whole_dataframe("all rows")
        batches[dataset] = definition.get_batch({"dataframe": frame})
    return batches


def _result(check: Check, frame: pd.DataFrame, batch: Batch) -> CheckResult:
    result_format: dict[str, Any] = {"result_format": "COMPLETE"}
    if check.dataset.shows_rows:
        result_format["unexpected_index_column_names"] = list(frame.columns)
    result = batch.validate(check.expect, result_format=result_format)
    assert isinstance(result, ExpectationValidationResult)
    _refuse_mistakes(check, result)
    facts = result.result
    evaluated = facts.get("element_count", 1) - facts.get("missing_count", 0)
    state: State = "passed" if result.success else "failed"
    return CheckResult(
        check=check,
        state=state if evaluated else "insufficient history",
        expected=_expected(check.expect),
        observed=_observed(facts, evaluated),
        failed_rows=[
            {column: show(row[column]) for column in frame.columns}
            for row in facts.get("unexpected_index_list", [])[:MOST_FAILED_ROWS]
            if check.dataset.shows_rows
        ],
    )


def _refuse_mistakes(check: Check, result: ExpectationValidationResult) -> None:
    """Refuse a check that can't be evaluated, such as one of a missing column."""
    for raised in _raised(result.exception_info):
        raise UserError(f'the check "{check.title}" can\'t be evaluated: {raised}')


def _raised(information: Mapping[str, Any]) -> Iterable[str]:
    # GX reports one exception, or one for each metric.
    if "raised_exception" in information:
        if information["raised_exception"]:
            yield str(information["exception_message"])
    else:
        for each in information.values():
            yield from _raised(each)


# --- Texts ----------------------------------------------------------------------------


def _expected(expectation: Expectation) -> str:
    """The expectation as text, such as "deviation from -5 to 5, in at least 90%"."""
    arguments = expectation.configuration.kwargs
    column = arguments.get("column")
    if "column_A" in arguments:
        sign = "≥" if arguments.get("or_equal") else ">"
        text = f"{arguments['column_A']} {sign} {arguments['column_B']}"
    elif "value_set" in arguments:
        values = ", ".join(map(show, arguments["value_set"]))
        text = f"{column} one of {values}"
    else:
        least, most = arguments.get("min_value"), arguments.get("max_value")
        if least is None:
            text = f"{column} at most {show(most)}"
        elif most is None:
            text = f"{column} at least {show(least)}"
        else:
            text = f"{column} from {show(least)} to {show(most)}"
    if (mostly := arguments.get("mostly", 1)) < 1:
        text += f", in at least {mostly * 100:.4g}% of the rows"
    return text


def _observed(facts: Mapping[str, Any], evaluated: int) -> str:
    if not evaluated:
        return "no values to compare with yet"
    if "observed_value" in facts:
        return show(facts["observed_value"])
    failed = facts.get("unexpected_count", 0)
    return f"{failed:,} of {evaluated:,} rows fail"


def show(value: object) -> str:
    """A value as text, with at most three decimal places."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return str(value)
