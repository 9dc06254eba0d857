"""Days and months of the reporting zone."""

from datetime import date, datetime, timedelta, timezone
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


def months_later(moment: datetime, months: int) -> datetime:
    """The same time of UTC some months later, or on the last day of a shorter month."""
    moment = moment.astimezone(timezone.utc)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last_day = (next_month(date(year, month + 1, 1)) - timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last_day))


def months_apart(first: datetime, second: datetime) -> int:
    """Months of UTC from the month of one time to that of another."""
    first, second = first.astimezone(timezone.utc), second.astimezone(timezone.utc)
    return (second.year - first.year) * 12 + second.month - first.month
