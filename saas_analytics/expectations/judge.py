"""The judgement of suites: what they look at, read in one snapshot, by GX."""

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
from saas_analytics.expectations.looks import Look, Remembered
from saas_analytics.expectations.suites import Promise, Suite
from saas_analytics.settings import Settings

MOST_OFFENDERS = 20
"""As many rows are shown of those that break a promise."""

State = Literal["kept", "broken", "waiting"]


@dataclass(frozen=True)
class Verdict:
    """What became of a promise."""

    promise: Promise
    state: State
    """Waiting: there is nothing yet to judge it by, such as earlier runs."""

    expected: str
    observed: str
    offenders: list[dict[str, str]]
    """Rows that break it, the first of them; none of single persons."""

    def line(self) -> str:
        """All of it in one line."""
        text = f"{self.promise.says}: {self.observed}, expected {self.expected}"
        if self.offenders:
            first = ", ".join(
                f"{name} {value}" for name, value in self.offenders[0].items()
            )
            text += f"; as in {first}"
        return text


@dataclass(frozen=True)
class Reading:
    """What the promises look at, all of one moment."""

    rows: Mapping[Look, pd.DataFrame]
    earlier: pd.DataFrame
    """What earlier runs measured."""

    today: dt.date
    """In the reporting zone."""


def run(
    connection: Connection, settings: Settings, suites: Mapping[str, Suite]
) -> dict[str, list[Verdict]]:
    """Judge the suites' promises, by suite, and keep what was measured.

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
    return judge(suites, reading)


# --- What is looked at ----------------------------------------------------------------


def read(cursor: Cursor, settings: Settings, suites: Mapping[str, Suite]) -> Reading:
    """Read what the promises look at, in the cursor's transaction.

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
    promises = [promise for suite in suites.values() for promise in suite.promises]
    _read_numbers_as_floats(cursor)
    today = _today(cursor, zone)
    rows: dict[Look, pd.DataFrame] = {}
    for promise in promises:
        if promise.look not in rows:
            rows[promise.look] = _select(cursor, promise, names)
    return Reading(rows, history.read(cursor, settings, today), today)


def _reporting_timezone(cursor: Cursor, settings: Settings) -> str:
    """The zone that the marts were built in.

    Raises:
        UserError: they are missing, of an earlier version, or of several zones or
            times.
    """
    models = sql.Identifier(f"{settings.marts_schema}_refresh", "models")
    try:
        cursor.execute(sql.SQL("select distinct zone, as_of from {}").format(models))
    except (errors.UndefinedTable, errors.UndefinedColumn):
        raise UserError("marts are missing: run `make build` first") from None
    found = cursor.fetchall()
    zones = sorted({zone for zone, _ in found})
    # Nothing where a model doesn't read the present.
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
    cursor: Cursor, promise: Promise, names: Mapping[str, sql.Composable]
) -> pd.DataFrame:
    try:
        cursor.execute(sql.SQL(promise.look.query).format(**names))
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        missing = error.diag.message_primary
        raise UserError(f"{missing}: run `make build` first") from None
    except DataError as error:
        reason = error.diag.message_primary
        raise UserError(f'"{promise.says}" can\'t be judged: {reason}') from None
    columns = [column.name for column in cursor.description or ()]
    return pd.DataFrame(cursor.fetchall(), columns=columns)


def _read_numbers_as_floats(cursor: Cursor) -> None:
    """Of the type numeric, which come as Decimal by themselves."""
    oids = extensions.DECIMAL.values
    extensions.register_type(
        extensions.new_type(oids, "FLOAT", extensions.FLOAT), cursor
    )


def _measured(
    rows: Mapping[Look, pd.DataFrame],
) -> Iterable[tuple[str, str, float]]:
    for look, frame in rows.items():
        if isinstance(look, Remembered):
            for part, value in zip(frame["part"], frame["value"], strict=True):
                if pd.notna(value):
                    yield look.measure, str(part), float(value)


# --- The judgement --------------------------------------------------------------------


def judge(suites: Mapping[str, Suite], reading: Reading) -> dict[str, list[Verdict]]:
    """Judge the suites' promises, by suite.

    Raises:
        UserError: a suite has a mistake.
    """
    frames = {
        look: look.beside_usual(rows, _of(look, reading.earlier))
        for look, rows in reading.rows.items()
    }
    batches = _batches(frames)
    return {
        name: [
            _verdict(promise, frames[promise.look], batches[promise.look])
            for promise in suite.promises
        ]
        for name, suite in suites.items()
    }


def _of(look: Look, earlier: pd.DataFrame) -> pd.DataFrame:
    """The look's own history."""
    measure = look.measure if isinstance(look, Remembered) else None
    return earlier[earlier["measure"] == measure]


def _batches(frames: Mapping[Look, pd.DataFrame]) -> dict[Look, Batch]:
    """What Great Expectations judges. Nothing of it is written anywhere."""
    # It logs what the verdicts say.
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(
        globally=False, metric_calculations=False
    )
    source = context.data_sources.add_pandas("looks")
    batches = {}
    for number, (look, frame) in enumerate(frames.items()):
        asset = source.add_dataframe_asset(f"look {number}")
        definition = asset.add_batch_definition_whole_dataframe("all rows")
        batches[look] = definition.get_batch({"dataframe": frame})
    return batches


def _verdict(promise: Promise, frame: pd.DataFrame, batch: Batch) -> Verdict:
    result_format: dict[str, Any] = {"result_format": "COMPLETE"}
    if promise.look.shows_rows:
        result_format["unexpected_index_column_names"] = list(frame.columns)
    result = batch.validate(promise.expect, result_format=result_format)
    assert isinstance(result, ExpectationValidationResult)
    _refuse_mistakes(promise, result)
    facts = result.result
    judged = facts.get("element_count", 1) - facts.get("missing_count", 0)
    state: State = "kept" if result.success else "broken"
    return Verdict(
        promise=promise,
        state=state if judged else "waiting",
        expected=_expected(promise.expect),
        observed=_observed(facts, judged),
        offenders=[
            {column: show(row[column]) for column in frame.columns}
            for row in facts.get("unexpected_index_list", [])[:MOST_OFFENDERS]
            if promise.look.shows_rows
        ],
    )


def _refuse_mistakes(promise: Promise, result: ExpectationValidationResult) -> None:
    """A promise that can't be judged, as one of a column that isn't there."""
    for raised in _raised(result.exception_info):
        raise UserError(f'"{promise.says}" can\'t be judged: {raised}')


def _raised(information: Mapping[str, Any]) -> Iterable[str]:
    # One exception, or one for each metric that raised one.
    if "raised_exception" in information:
        if information["raised_exception"]:
            yield str(information["exception_message"])
    else:
        for each in information.values():
            yield from _raised(each)


# --- In words -------------------------------------------------------------------------


def _expected(expectation: Expectation) -> str:
    """What was expected, as in "deviation from -5 to 5, in at least 90%"."""
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


def _observed(facts: Mapping[str, Any], judged: int) -> str:
    if not judged:
        return "nothing to judge it by yet"
    if "observed_value" in facts:
        return show(facts["observed_value"])
    broken = facts.get("unexpected_count", 0)
    return f"{broken:,} of {judged:,} rows otherwise"


def show(value: object) -> str:
    """A value for people: numbers with three digits behind the point at most."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return str(value)
