"""The OLTP contract, read from bootstrap/contract."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from tests.python.support import ROOT

FOLDER = ROOT / "bootstrap" / "contract"

Number = int | Decimal


@dataclass(frozen=True)
class Column:
    """A column that the application uses."""

    table: str
    name: str
    type: str
    is_nullable: bool
    default: str
    wider_type: str

    @property
    def live_type(self) -> str:
        """The type that the column has."""
        return self.wider_type or self.type

    @property
    def longest(self) -> int | None:
        """How many characters fit, where that is limited."""
        found = re.fullmatch(r"character varying\((\d+)\)", self.type)
        return int(found[1]) if found else None

    @property
    def step(self) -> Number:
        """The smallest difference between two numbers of the type."""
        return Decimal("0.01") if self.type == "numeric(5,2)" else 1


@dataclass(frozen=True)
class Constraint:
    """A rule that the application relies on."""

    table: str
    kind: str
    columns: tuple[str, ...]
    rule: str

    def __str__(self) -> str:
        return f"{self.table}: {self.kind} on {' '.join(self.columns)}"

    @property
    def reference(self) -> tuple[str, str]:
        """The table that a foreign key refers to, and what its deletion does."""
        found = re.fullmatch(r"references (\w+)\.id, on delete (.+)", self.rule)
        assert found, self.rule
        return found[1], found[2]

    @property
    def choices(self) -> tuple[str, ...] | None:
        """The values of an enumeration."""
        prefix = "one of: "
        if not self.rule.startswith(prefix):
            return None
        return tuple(self.rule.removeprefix(prefix).split())

    @property
    def bounds(self) -> tuple[Number | None, Number | None] | None:
        """The first and the last number that a rule on one column accepts."""
        if self.kind != "check" or self.choices or len(self.columns) > 1:
            return None
        step = column(self.table, self.columns[0]).step
        lowest: Number | None = None
        highest: Number | None = None
        for comparison in self.rule.split(" AND "):
            found = re.fullmatch(rf"{self.columns[0]} (>=|>|<=|<) (\d+)", comparison)
            assert found, self.rule
            operator, number = found[1], int(found[2])
            if operator.startswith(">"):
                lowest = number if operator == ">=" else number + step
            else:
                highest = number if operator == "<=" else number - step
        return lowest, highest

    @property
    def at_most(self) -> tuple[tuple[str, ...], str] | None:
        """The columns whose sum may reach another column, and that column."""
        if self.kind != "check" or len(self.columns) == 1:
            return None
        found = re.fullmatch(r"(\w+(?: \+ \w+)*) <= (\w+)", self.rule)
        assert found, self.rule
        return tuple(found[1].split(" + ")), found[2]


@dataclass(frozen=True)
class Lookup:
    """A search of the application."""

    table: str
    columns: tuple[str, ...]
    is_by_range: bool
    only_where: str

    def __str__(self) -> str:
        return f"{self.table} by {' and '.join(self.columns)}"


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@cache
def columns() -> tuple[Column, ...]:
    """Every column, in the files' order."""
    return tuple(
        Column(
            table=row["table"],
            name=row["column"],
            type=row["type"],
            is_nullable=row["nullable"] == "yes",
            default=row["default"],
            wider_type=row["wider_type"],
        )
        for row in _rows("columns.csv")
    )


@cache
def tables() -> tuple[str, ...]:
    """Every table, in the files' order."""
    return tuple(dict.fromkeys(each.table for each in columns()))


@cache
def columns_of(table: str) -> dict[str, Column]:
    """The columns of a table by name."""
    return {each.name: each for each in columns() if each.table == table}


def column(table: str, name: str) -> Column:
    """One column."""
    return columns_of(table)[name]


@cache
def constraints() -> tuple[Constraint, ...]:
    """Every rule."""
    return tuple(
        Constraint(
            table=row["table"],
            kind=row["kind"],
            columns=tuple(row["columns"].split()),
            rule=row["rule"],
        )
        for row in _rows("constraints.csv")
    )


@cache
def constraints_of(table: str) -> tuple[Constraint, ...]:
    """The rules of a table."""
    return tuple(each for each in constraints() if each.table == table)


@cache
def lookups() -> tuple[Lookup, ...]:
    """Every search."""
    return tuple(
        Lookup(
            table=row["table"],
            columns=tuple(re.findall(r"(\w+)(?: desc)?(?:, |$)", row["looked_up_by"])),
            is_by_range=row["looked_up_by"].endswith(" desc")
            and "," not in row["looked_up_by"],
            only_where=row["only_where"],
        )
        for row in _rows("lookups.csv")
    )
