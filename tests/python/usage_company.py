"""A small company with awkward rows, drawn at random, and how to store it."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from dataclasses import dataclass, field

from psycopg2.extras import execute_values

from tests.python.support import Database

PLANS = ("free", "starter", "pro", "enterprise")
FEATURES = ("dashboard", "alerts", "beta")
EVENT_TYPES = ("page_view", "click", "Ünïcode ✓")

# Until after a change of Auckland's clocks. Nothing happens in January of any zone.
FIRST_DAY = dt.date(2025, 10, 20)
DAYS = 175
QUIET = (
    dt.datetime(2025, 12, 31, tzinfo=dt.timezone.utc),
    dt.datetime(2026, 2, 2, tzinfo=dt.timezone.utc),
)

# Midnight in UTC, New York and Auckland (both halves of the year), and just before it.
EDGE_TIMES = tuple(
    dt.timedelta(hours=hour) - before
    for hour in (0, 4, 5, 11, 12)
    for before in (dt.timedelta(0), dt.timedelta(microseconds=1))
)

EVENT_DATA = (
    '{"duration_seconds": 12}',
    '{"duration_seconds": 0.25}',
    '{"duration_seconds": 0}',
    '{"duration_seconds": -3}',
    '{"duration_seconds": "17"}',
    '{"duration_seconds": true}',
    '{"duration_seconds": null}',
    '{"duration_seconds": [5]}',
    '{"duration_seconds": 12345678901234567890.123456789}',
    '{"duration_seconds": 1e40}',
    '{"duration": 9, "nested": {"duration_seconds": 9}}',
    '[{"duration_seconds": 9}]',
    '"duration_seconds"',
    "7",
    "null",
    "{}",
    None,
)


@dataclass(frozen=True)
class User:
    """A user and when they signed up."""

    user_id: str
    created_at: dt.datetime


@dataclass(frozen=True)
class License:
    """A licence and its dates, in any order."""

    license_id: str
    owner_id: str
    plan_type: str
    started_at: dt.datetime
    cancelled_at: dt.datetime | None
    expires_at: dt.datetime | None


@dataclass(frozen=True)
class Event:
    """A usage event."""

    user_id: str | None
    license_id: str | None
    team_id: str | None
    event_type: str
    event_category: str
    event_name: str
    event_data: str | None
    session_id: str | None
    occurred_at: dt.datetime


@dataclass
class Company:
    """Everything that the usage and adoption marts read."""

    users: list[User] = field(default_factory=list)
    licenses: list[License] = field(default_factory=list)
    teams: list[tuple[str, str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def store(self, database: Database) -> None:
        """Write the rows as the application would."""
        connection = database.connect()
        with connection, connection.cursor() as cursor:
            execute_values(
                cursor,
                "insert into users (id, email, password_hash, created_at) values %s",
                [
                    (user.user_id, f"{user.user_id}@example.com", "-", user.created_at)
                    for user in self.users
                ],
            )
            execute_values(
                cursor,
                "insert into licenses (id, license_key, user_id, plan_type, started_at,"
                " cancelled_at, expires_at) values %s",
                [
                    (
                        row.license_id,
                        row.license_id,
                        row.owner_id,
                        row.plan_type,
                        row.started_at,
                        row.cancelled_at,
                        row.expires_at,
                    )
                    for row in self.licenses
                ],
            )
            execute_values(
                cursor,
                "insert into teams (id, slug, name, license_id, owner_id) values %s",
                [(team, team, "-", *rest) for team, *rest in self.teams],
            )
            execute_values(
                cursor,
                "insert into usage_events (user_id, license_id, team_id, event_type,"
                " event_category, event_name, event_data, session_id, occurred_at,"
                " created_at) values %s",
                [
                    (
                        event.user_id,
                        event.license_id,
                        event.team_id,
                        event.event_type,
                        event.event_category,
                        event.event_name,
                        event.event_data,
                        event.session_id,
                        event.occurred_at,
                        event.occurred_at,
                    )
                    for event in self.events
                ],
            )
        connection.close()


def is_quiet(moment: dt.datetime) -> bool:
    """Whether nothing may happen then."""
    return QUIET[0] <= moment < QUIET[1]


def draw(seed: int, events: int = 700) -> Company:
    """Draw a company: the same one for the same seed."""
    chance = random.Random(seed)

    def identifier() -> str:
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))

    def moment(first: int = 0, last: int = DAYS) -> dt.datetime:
        day = FIRST_DAY + dt.timedelta(days=chance.randint(first, last))
        time = chance.choice(
            (*EDGE_TIMES, dt.timedelta(seconds=chance.random() * 86_400))
        )
        return dt.datetime.combine(day, dt.time(), dt.timezone.utc) + time

    def sometimes(share: float, value: dt.datetime) -> dt.datetime | None:
        return value if chance.random() < share else None

    company = Company()
    # Some sign up before the first event, some after the last one.
    company.users = [User(identifier(), moment(-60, DAYS + 40)) for _ in range(14)]
    owners = [user.user_id for user in company.users]
    # One plan has no licence; another one's is never live.
    for plan in PLANS[:3]:
        for _ in range(4):
            started = moment(-40, DAYS)
            company.licenses.append(
                License(
                    identifier(),
                    chance.choice(owners),
                    plan,
                    started,
                    sometimes(0.4, moment(-40, DAYS + 40)),
                    sometimes(0.4, moment(-40, DAYS + 40)),
                )
            )
    licenses = [row.license_id for row in company.licenses]
    company.teams = [
        (identifier(), chance.choice(licenses), chance.choice(owners)) for _ in range(3)
    ]
    teams = [team for team, *_ in company.teams]

    while len(company.events) < events:
        # Some are seen every day, some hardly ever; some events have nobody.
        user = chance.choice([*owners[:11], *owners[:2] * 6, None])
        quiet = 0.85 if user in owners[2:8] else 0.0
        session = chance.choice([None, "s1", "s2", f"s{chance.randint(3, 40)}"])
        occurred = moment()
        if is_quiet(occurred) or chance.random() < quiet:
            continue
        category = chance.choice(("feature", "feature", "api", "auth"))
        event = Event(
            user,
            chance.choice([*licenses[:10], None, None]),
            chance.choice([*teams, None, None]),
            chance.choice(EVENT_TYPES),
            category,
            chance.choice(FEATURES if len(company.events) > 100 else FEATURES[:2]),
            chance.choice(EVENT_DATA),
            session,
            occurred,
        )
        company.events.append(event)
        if session is not None and chance.random() < 0.3:
            # The session goes on past midnight.
            later = event.occurred_at + dt.timedelta(hours=chance.choice((1, 9, 20)))
            if not is_quiet(later):
                company.events.append(Event(**{**event.__dict__, "occurred_at": later}))
    return company
