"""Datasets that checks read: query results, some compared with their usual values.

A usual value is always a median, so one unusual day or run hardly moves it. The column
`deviation` is the distance from it, in units of the usual distance.

Queries name schemas as {marts}, {staging}, {source} and {seeds}, and the reporting time
zone as {zone}.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

# Of a normal distribution: the standard deviation divided by the median distance.
FROM_MEDIAN_DISTANCE = 1.4826


@dataclass(frozen=True)
class Dataset:
    """The rows of a query, unchanged."""

    query: str

    shows_rows: ClassVar[bool] = True
    """Whether the report may show failed rows: they are not rows of single persons."""

    def with_usual(self, rows: pd.DataFrame, _history: pd.DataFrame) -> pd.DataFrame:
        """The rows to evaluate. `_history` is empty for datasets that record none."""
        return rows


@dataclass(frozen=True)
class Rows(Dataset):
    """Rows of a summary: one per day, plan and the like."""


@dataclass(frozen=True)
class SourceRows(Dataset):
    """Single rows of the source, which are counted and never shown."""

    shows_rows: ClassVar[bool] = False


@dataclass(frozen=True)
class ByWeekday(Dataset):
    """The last days of a query of `day` and `amount`, with their usual amounts.

    `usual` is the level of the previous 28 days, times the usual ratio of that weekday
    to the level. So weekends and growth are usual. A day without a row has the amount
    0. `deviation` is null for the first 16 weeks of history.
    """

    days: int = 14
    """How many of the last complete days are evaluated."""

    LEVEL_DAYS: ClassVar[int] = 28
    MOST_WEEKS: ClassVar[int] = 12
    LEAST_WEEKS: ClassVar[int] = 6
    LEAST_DISTANCE: ClassVar[float] = 0.05
    """The least usual distance: 5%, also for very regular days."""

    def with_usual(self, rows: pd.DataFrame, _history: pd.DataFrame) -> pd.DataFrame:
        """Columns `day`, `weekday`, `amount`, `usual`, `ratio` and `deviation`."""
        days = pd.DatetimeIndex(pd.to_datetime(rows["day"]))
        amounts = pd.Series(rows["amount"].to_numpy(dtype=float), index=days)
        if not amounts.empty:
            every_day = pd.date_range(days.min(), days.max())
            amounts = amounts.reindex(every_day, fill_value=0.0)
        weekdays = pd.DatetimeIndex(amounts.index).day_name()

        def usual_of_weekday(values: pd.Series) -> pd.Series:
            """The median of the same weekday in the previous weeks."""
            return values.groupby(weekdays).transform(
                lambda same: (
                    same.shift()
                    .rolling(self.MOST_WEEKS, min_periods=self.LEAST_WEEKS)
                    .median()
                )
            )

        # On a scale of ratios, half as much is as far away as twice as much.
        logs = np.log1p(amounts)
        level = logs.shift().rolling(self.LEVEL_DAYS).median()
        usual = level + usual_of_weekday(logs - level)
        distance = logs - usual
        # The count of independent events, such as calls, varies by its square root.
        by_chance = 1 / np.sqrt(np.exp(usual))
        usual_distance = (
            usual_of_weekday(distance.abs())
            .mul(FROM_MEDIAN_DISTANCE)
            .clip(lower=np.maximum(by_chance, self.LEAST_DISTANCE))
        )
        evaluated = pd.DataFrame(
            {
                "day": amounts.index.strftime("%Y-%m-%d"),
                "weekday": weekdays,
                "amount": amounts,
                "usual": np.expm1(usual).round(),
                "ratio": np.exp(distance),
                "deviation": distance / usual_distance,
            }
        )
        return evaluated.tail(self.days).reset_index(drop=True)


@dataclass(frozen=True)
class Recorded(Dataset):
    """The current values of a query (`part`, `value`), with those of earlier runs.

    Each run records its values. `usual` is the median of the earlier runs, one for each
    day before today. `deviation` is null until there are enough of them.
    """

    measure: str
    """The name under which the values are recorded."""

    margin: float
    """The least usual distance: one `deviation` is at least this."""

    enough_runs: int = 7
    MOST_RUNS: ClassVar[int] = 28

    def with_usual(self, rows: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
        """Columns `part`, `value`, `usual`, `earlier_runs` and `deviation`."""
        values = pd.Series(
            rows["value"].to_numpy(dtype=float), index=rows["part"].astype(str)
        )
        runs = history.pivot_table(index="run_date", columns="part", values="value")
        runs, values = self.aligned(runs.tail(self.MOST_RUNS), values)
        usual = runs.median()
        distances = (runs - usual).abs().median() * FROM_MEDIAN_DISTANCE
        deviation = (values - usual) / np.maximum(distances, self.margin_at(usual))
        evaluated = pd.DataFrame(
            {
                "value": values,
                "usual": usual,
                "earlier_runs": runs.count(),
                "deviation": deviation.where(runs.count() >= self.enough_runs),
            }
        )
        return evaluated.rename_axis("part").reset_index()

    def aligned(
        self, runs: pd.DataFrame, values: pd.Series
    ) -> tuple[pd.DataFrame, pd.Series]:
        """Runs and values with the same parts."""
        raise NotImplementedError

    def margin_at(self, usual: pd.Series) -> pd.Series:
        """The margin in units of the values."""
        raise NotImplementedError


@dataclass(frozen=True)
class Shares(Recorded):
    """Shares of a whole: values from 0 to 1 that add up to 1.

    The margin is a difference of shares. A part that a run lacks has the share 0.
    """

    def aligned(
        self, runs: pd.DataFrame, values: pd.Series
    ) -> tuple[pd.DataFrame, pd.Series]:
        """The parts of any run."""
        parts = runs.columns.union(values.index)
        return (
            runs.reindex(columns=parts).fillna(0.0),
            values.reindex(parts).fillna(0.0),
        )

    def margin_at(self, usual: pd.Series) -> pd.Series:
        """The same margin for each part."""
        return pd.Series(self.margin, index=usual.index)


@dataclass(frozen=True)
class Measured(Recorded):
    """Quantities such as a mean or a sum, by part.

    The margin is a fraction of the usual value. Parts that no longer exist are ignored.
    """

    def aligned(
        self, runs: pd.DataFrame, values: pd.Series
    ) -> tuple[pd.DataFrame, pd.Series]:
        """The parts of the current values."""
        return runs.reindex(columns=values.index), values

    def margin_at(self, usual: pd.Series) -> pd.Series:
        """In proportion to the usual value."""
        return usual.abs() * self.margin
