"""Figures as Markdown."""

from collections.abc import Iterable, Sequence


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, figures to the right."""
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rate(value: float) -> str:
    """Rows per second."""
    return f"{value:,.0f}"


def ratio(value: float, other: float) -> str:
    """The ratio of two values."""
    return f"{value / other:.2f}×"


def milliseconds(seconds: float) -> str:
    """A time with about three digits."""
    value = seconds * 1000
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
