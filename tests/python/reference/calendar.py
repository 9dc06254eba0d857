"""Days and months of the reporting zone."""

from datetime import date, datetime
from zoneinfo import ZoneInfo


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar day of a time in a zone."""
    return moment.astimezone(zone).date()


def month_of(moment: datetime, zone: ZoneInfo) -> date:
    """The first day of a time's month in a zone."""
    return day_of(moment, zone).replace(day=1)


def next_month(month: date) -> date:
    """The month after a month."""
    years, months = divmod(month.month, 12)
    return date(month.year + years, months + 1, 1)


def months_through(first: date, last: date) -> list[date]:
    """All months from the first to the last, both included."""
    months = []
    while first <= last:
        months.append(first)
        first = next_month(first)
    return months
