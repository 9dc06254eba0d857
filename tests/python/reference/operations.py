"""The operations marts."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.python.reference.affiliates import Mart
from tests.python.reference.calendar import day_of
from tests.python.reference.rows import ApiCall, AuditLog, ErrorLog, Rows


def percentile(values: Sequence[int], percent: int) -> Decimal | None:
    """Continuous percentile: between two values by their distance."""
    if not values:
        return None
    ordered = sorted(values)
    place = Decimal(percent * (len(ordered) - 1)) / 100
    lower = int(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (place - lower) * (ordered[upper] - ordered[lower])


def api_usage_daily(rows: Rows, zone: ZoneInfo) -> Mart:
    """fct_api_usage_daily."""
    groups: dict[tuple[Any, ...], list[ApiCall]] = defaultdict(list)
    for call in rows.api_calls:
        key = (day_of(call.occurred_at, zone), call.endpoint, call.method)
        groups[key].append(call)
    mart: Mart = {}
    for key, calls in groups.items():
        failed = sum(500 <= call.status_code <= 599 for call in calls)
        times = [
            call.response_time_ms for call in calls if call.response_time_ms is not None
        ]
        mart[key] = {
            "requests": len(calls),
            "client_errors": sum(400 <= call.status_code <= 499 for call in calls),
            "server_errors": failed,
            "error_rate": Decimal(failed) / len(calls),
            "p50_response_ms": percentile(times, 50),
            "p95_response_ms": percentile(times, 95),
            "p99_response_ms": percentile(times, 99),
        }
    return mart


def errors_daily(rows: Rows, zone: ZoneInfo) -> Mart:
    """fct_errors_daily."""
    groups: dict[tuple[Any, ...], list[ErrorLog]] = defaultdict(list)
    for error in rows.errors:
        day = day_of(error.occurred_at, zone)
        groups[day, error.severity, error.error_type, error.source].append(error)
    return {
        key: {
            "errors": len(errors),
            "affected_users": len({error.user_id for error in errors} - {None}),
        }
        for key, errors in groups.items()
    }


def audit_daily(rows: Rows, zone: ZoneInfo) -> Mart:
    """fct_audit_daily."""
    groups: dict[tuple[Any, ...], list[AuditLog]] = defaultdict(list)
    for audit in rows.audits:
        day = day_of(audit.occurred_at, zone)
        groups[day, audit.action, audit.resource_type, audit.status].append(audit)
    return {
        key: {
            "events": len(audits),
            "actors": len({audit.user_id for audit in audits} - {None}),
        }
        for key, audits in groups.items()
    }


def license_seats(rows: Rows, zone: ZoneInfo) -> Mart:
    """fct_license_seats."""
    last_day = max(day_of(event.occurred_at, zone) for event in rows.usage_events)
    license_of = {team.id: team.license_id for team in rows.teams}
    mart: Mart = {}
    for entry in rows.licenses:
        members = {
            member.user_id
            for member in rows.team_members
            if license_of[member.team_id] == entry.id
        }
        active = {
            event.user_id
            for event in rows.usage_events
            if event.license_id == entry.id
            and event.user_id is not None
            and day_of(event.occurred_at, zone) > last_day - timedelta(days=30)
        }
        mart[(entry.id,)] = {
            "plan_type": entry.plan_type,
            "status": entry.status,
            "seats_total": entry.seats_total,
            "seats_used": entry.seats_used,
            "seat_utilization": Decimal(entry.seats_used) / entry.seats_total,
            "team_members": len(members),
            "active_users_30d": len(active),
        }
    return mart
