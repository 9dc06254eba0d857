"""What a promise looks at: rows as they are, or beside what is usual for them.

What is usual is always a median, and the distance from it is told in `deviation`: how
many times as far as usual. A day or a run that is out of order moves neither much.

Queries name schemas as {marts}, {staging}, {source} and {seeds}, and the zone of the
reporting days as {zone}.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

# A median distance times this is the standard deviation, where the bell curve holds.
FROM_MEDIAN_DISTANCE = 1.4826


@dataclass(frozen=True)
class Look:
    """The rows of a query, as they are."""

    query: str

    shows_rows: ClassVar[bool] = True
    """Whether rows that break a promise may be shown: they hold no row of a person."""

    def beside_usual(self, rows: pd.DataFrame, _history: pd.DataFrame) -> pd.DataFrame:
        """What is judged. The history is empty for looks that keep none."""
        return rows


@dataclass(frozen=True)
class Rows(Look):
    """Rows of a summary: one per day, plan and the like."""


@dataclass(frozen=True)
class SourceRows(Look):
    """Single rows of the source, which are counted and never shown."""

    shows_rows: ClassVar[bool] = False


@dataclass(frozen=True)
class ByWeekday(Look):
    """The last days of a query of `day` and `amount`, beside what is usual.

    `usual` is the level of the four weeks before a day, times what its weekday differs
    from that level in the weeks before: weekends and growth are usual. A day without a
    row has the amount 0. `deviation` is null until there are sixteen weeks of history.
    """

    days: int = 14
    """How many days are judged, the last ones that are over."""

    LEVEL_DAYS: ClassVar[int] = 28
    MOST_WEEKS: ClassVar[int] = 12
    LEAST_WEEKS: ClassVar[int] = 6
    LEAST_DISTANCE: ClassVar[float] = 0.05
    """Five percent more or less is nothing, however regular the days are."""

    def beside_usual(self, rows: pd.DataFrame, _history: pd.DataFrame) -> pd.DataFrame:
        """Columns `day`, `weekday`, `amount`, `usual`, `ratio` and `deviation`."""
        days = pd.DatetimeIndex(pd.to_datetime(rows["day"]))
        amounts = pd.Series(rows["amount"].to_numpy(dtype=float), index=days)
        if not amounts.empty:
            every_day = pd.date_range(days.min(), days.max())
            amounts = amounts.reindex(every_day, fill_value=0.0)
        weekdays = pd.DatetimeIndex(amounts.index).day_name()

        def usual_of_weekday(values: pd.Series) -> pd.Series:
            """The median of the same weekday in the weeks before."""
            return values.groupby(weekdays).transform(
                lambda same: (
                    same.shift()
                    .rolling(self.MOST_WEEKS, min_periods=self.LEAST_WEEKS)
                    .median()
                )
            )

        # On a scale of ratios: half as much is as far away as twice as much.
        logs = np.log1p(amounts)
        level = logs.shift().rolling(self.LEVEL_DAYS).median()
        usual = level + usual_of_weekday(logs - level)
        distance = logs - usual
        # What comes by chance, like the next call, varies by the root of its number.
        by_chance = 1 / np.sqrt(np.exp(usual))
        usual_distance = (
            usual_of_weekday(distance.abs())
            .mul(FROM_MEDIAN_DISTANCE)
            .clip(lower=np.maximum(by_chance, self.LEAST_DISTANCE))
        )
        judged = pd.DataFrame(
            {
                "day": amounts.index.strftime("%Y-%m-%d"),
                "weekday": weekdays,
                "amount": amounts,
                "usual": np.expm1(usual).round(),
                "ratio": np.exp(distance),
                "deviation": distance / usual_distance,
            }
        )
        return judged.tail(self.days).reset_index(drop=True)


@dataclass(frozen=True)
class Remembered(Look):
    """What a query measures now (`part`, `value`), beside what earlier runs measured.

    Each run writes the values down, and is judged by the median of the earlier runs:
    one for each day before today. `deviation` is null until there are enough.
    """

    measure: str
    """The name under which the values are kept."""

    margin: float
    """A distance that means nothing yet: one `deviation` is at least this."""

    enough_runs: int = 7
    MOST_RUNS: ClassVar[int] = 28

    def beside_usual(self, rows: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
        """Columns `part`, `value`, `usual`, `earlier_runs` and `deviation`."""
        values = pd.Series(
            rows["value"].to_numpy(dtype=float), index=rows["part"].astype(str)
        )
        runs = history.pivot_table(index="run_date", columns="part", values="value")
        runs, values = self.aligned(runs.tail(self.MOST_RUNS), values)
        usual = runs.median()
        distances = (runs - usual).abs().median() * FROM_MEDIAN_DISTANCE
        deviation = (values - usual) / np.maximum(distances, self.margin_at(usual))
        judged = pd.DataFrame(
            {
                "value": values,
                "usual": usual,
                "earlier_runs": runs.count(),
                "deviation": deviation.where(runs.count() >= self.enough_runs),
            }
        )
        return judged.rename_axis("part").reset_index()

    def aligned(
        self, runs: pd.DataFrame, values: pd.Series
    ) -> tuple[pd.DataFrame, pd.Series]:
        """Runs and values with the same parts."""
        raise NotImplementedError

    def margin_at(self, usual: pd.Series) -> pd.Series:
        """The margin in units of the values."""
        raise NotImplementedError


@dataclass(frozen=True)
class Shares(Remembered):
    """How a whole is divided: values from 0 to 1 that add up to 1.

    The margin is a difference of shares. What a run doesn't have had the share 0.
    """

    def aligned(
        self, runs: pd.DataFrame, values: pd.Series
    ) -> tuple[pd.DataFrame, pd.Series]:
        """All parts that there ever were."""
        parts = runs.columns.union(values.index)
        return (
            runs.reindex(columns=parts).fillna(0.0),
            values.reindex(parts).fillna(0.0),
        )

    def margin_at(self, usual: pd.Series) -> pd.Series:
        """The same for each part."""
        return pd.Series(self.margin, index=usual.index)


@dataclass(frozen=True)
class Measured(Remembered):
    """Quantities such as a mean or a sum, part by part.

    The margin is a part of what is usual. A part that there is no longer isn't judged.
    """

    def aligned(
        self, runs: pd.DataFrame, values: pd.Series
    ) -> tuple[pd.DataFrame, pd.Series]:
        """The parts that there are now."""
        return runs.reindex(columns=values.index), values

    def margin_at(self, usual: pd.Series) -> pd.Series:
        """In proportion to what is usual."""
        return usual.abs() * self.margin
