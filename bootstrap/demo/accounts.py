"""Users, licenses, teams and members, once it is known how each customer lived."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from uuid import UUID

from bootstrap.demo.arguments import Arguments
from bootstrap.demo.customers import DAY, Customer, Tenure
from bootstrap.demo.rows import AuditLog, License, Team, TeamMember, User, new_id

MEMBERS_PER_TEAM = 12
ERASED_SHARE = 0.03
"""Share of members whose account was erased: their events stay, without a user."""

TEAM_NAMES = ("Core", "Analysts", "Finance", "Growth", "Support", "Research", "Field")


@dataclass(slots=True)
class Person:
    """A user of the product through a license, including those erased by now."""

    customer: Customer
    joined_at: dt.datetime
    user: User | None
    team: Team | None
    erased_at: dt.datetime | None = None


@dataclass(slots=True)
class Accounts:
    """The rows of the accounts' tables, and their people."""

    users: list[User] = field(default_factory=list)
    licenses: list[License] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)
    members: list[TeamMember] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    audit_logs: list[AuditLog] = field(default_factory=list)
    erased: int = 0


def open_accounts(customers: list[Customer], arguments: Arguments) -> Accounts:
    """Return the accounts of all customers and of the company's own staff."""
    stream = arguments.stream("accounts")
    accounts = Accounts()
    for number, role in enumerate(("super_admin", "admin", "admin"), start=1):
        at = arguments.begin + dt.timedelta(minutes=number)
        accounts.users.append(
            new_user(stream, at, f"staff-{number}@example.org", role=role)
        )
    for customer in customers:
        _open_account(accounts, customer, arguments, stream)
    accounts.users.sort(key=lambda user: user.created_at)
    return accounts


def new_user(
    stream: random.Random,
    at: dt.datetime,
    email: str,
    *,
    identifier: UUID | None = None,
    role: str = "user",
) -> User:
    """Return an invented user whose password is unknown."""
    name = email.partition("@")[0].replace("-", " ").title()
    verified = stream.random() < 0.94
    return User(
        id=identifier or new_id(stream, at),
        email=email,
        password_hash=f"!demo:{stream.getrandbits(128):032x}",
        full_name=f"Demo {name}",
        role=role,
        email_verified=verified,
        email_verified_at=at if verified else None,
        created_at=at,
        updated_at=at,
    )


def _open_account(
    accounts: Accounts,
    customer: Customer,
    arguments: Arguments,
    stream: random.Random,
) -> None:
    signed_up = customer.signed_up_at
    owner = new_user(
        stream,
        signed_up,
        f"owner-{customer.number}@example.com",
        identifier=customer.owner_id,
    )
    owner.metadata = {"region": customer.region.name}
    accounts.users.append(owner)
    license_row = _license(customer, stream)
    accounts.licenses.append(license_row)
    _tell_subscriptions(accounts, customer, stream)

    shared = next((each for each in customer.tenures if each.seats > 1), None)
    if shared is None:
        accounts.people.append(Person(customer, signed_up, owner, team=None))
        return
    used = _form_teams(accounts, customer, owner, shared, arguments, stream)
    license_row.seats_used = used


def _license(customer: Customer, stream: random.Random) -> License:
    """Return the license in the state of its last subscription."""
    last = customer.subscriptions[-1]
    tenures = customer.tenures
    seats = tenures[-1].seats if tenures else customer.seats
    trials = [each.trial_end for each in customer.subscriptions if each.trial_end]
    started = tenures[0].start if tenures else customer.subscriptions[0].created_at
    ended = tenures[-1].end if tenures else None
    status, expires, cancelled = "active", last.current_period_end, None
    if last.status == "canceled":
        # After the last failed payment, access ends before the subscription.
        expires = ended or last.updated_at
        if last.trial_end is not None and expires < last.trial_end:
            status = "expired"
        else:
            status, cancelled = "cancelled", last.updated_at
    elif last.status in ("unpaid", "incomplete"):
        status = "suspended"
    elif last.status == "incomplete_expired":
        status = "expired"
        expires = last.updated_at
    return License(
        id=customer.license_id,
        user_id=customer.owner_id,
        license_key=f"DEMO-{stream.getrandbits(64):016X}",
        plan_type=last.plan_type,
        status=status,
        seats_total=seats,
        seats_used=1,
        trial_ends_at=trials[-1] if trials else None,
        started_at=started,
        expires_at=expires,
        cancelled_at=cancelled,
        created_at=customer.signed_up_at,
        updated_at=max(last.updated_at, customer.signed_up_at),
    )


def _form_teams(
    accounts: Accounts,
    customer: Customer,
    owner: User,
    shared: Tenure,
    arguments: Arguments,
    stream: random.Random,
) -> int:
    """Add the license's teams and members; return how many seats are used.

    Seats are for distinct members: a member of two teams uses one.
    """
    at = min(shared.start + dt.timedelta(minutes=20), arguments.until)
    seats_at_end = customer.tenures[-1].seats
    wanted = max(1, round(seats_at_end * stream.uniform(0.45, 1.0)))
    joined: list[tuple[dt.datetime, int]] = []
    for seat in range(2, wanted + 1):
        tenure = next(each for each in customer.tenures if each.seats >= seat)
        moment = tenure.start + dt.timedelta(
            minutes=30, days=stream.expovariate(1 / 35) * (0.3 + seat / wanted)
        )
        if moment <= arguments.until and _has_access(customer, moment):
            joined.append((moment, seat))
    joined.sort()

    teams: list[Team] = []
    for number in range(1 + len(joined) // MEMBERS_PER_TEAM):
        name = TEAM_NAMES[number % len(TEAM_NAMES)]
        created = at if number == 0 else joined[number * MEMBERS_PER_TEAM - 1][0]
        team = Team(
            id=new_id(stream, created),
            license_id=customer.license_id,
            name=name if number < len(TEAM_NAMES) else f"{name} {number}",
            slug=f"customer-{customer.number}-team-{number + 1}",
            owner_id=owner.id,
            is_active=True,
            created_at=created,
            updated_at=created,
        )
        ended = customer.tenures[-1].end
        if ended is not None:
            team.is_active = False
            team.updated_at = max(created, ended)
        teams.append(team)
        accounts.teams.append(team)
        _join(accounts, stream, team, owner, created, "owner")
        _tell(accounts, stream, created, owner.id, team.id, "team.created", "team")
    accounts.people.append(Person(customer, customer.signed_up_at, owner, teams[0]))

    used = 1
    for number, (moment, seat) in enumerate(joined, start=1):
        team = teams[number // MEMBERS_PER_TEAM]
        user = new_user(
            stream,
            moment - dt.timedelta(minutes=stream.uniform(1, 25)),
            f"member-{seat}-of-{customer.number}@example.com",
        )
        person = Person(customer, moment, user, team)
        accounts.people.append(person)
        if arguments.until - moment > 30 * DAY and (
            accounts.erased == 0 or stream.random() < ERASED_SHARE
        ):
            _erase(accounts, person, arguments, stream)
            continue
        used += 1
        accounts.users.append(user)
        # The first to join helps the owner.
        role = "admin" if number == 1 or stream.random() < 0.05 else "member"
        _join(accounts, stream, team, user, moment, role)
        _tell(accounts, stream, moment, user.id, team.id, "member.joined", "team")
        if len(teams) > 1 and stream.random() < 0.06:
            other = teams[0] if team is not teams[0] else teams[1]
            later = max(moment, other.created_at) + dt.timedelta(hours=2)
            if later <= arguments.until:
                _join(accounts, stream, other, user, later, "member")
    return used


def _has_access(customer: Customer, moment: dt.datetime) -> bool:
    return any(
        tenure.start <= moment and (tenure.end is None or moment < tenure.end)
        for tenure in customer.tenures
    )


def _join(
    accounts: Accounts,
    stream: random.Random,
    team: Team,
    user: User,
    at: dt.datetime,
    role: str,
) -> None:
    accounts.members.append(
        TeamMember(
            id=new_id(stream, at),
            team_id=team.id,
            user_id=user.id,
            role=role,
            joined_at=at,
            created_at=at,
            updated_at=at,
        )
    )


def _erase(
    accounts: Accounts, person: Person, arguments: Arguments, stream: random.Random
) -> None:
    """Erase a member: only their activity remains, without a user."""
    left = arguments.until - person.joined_at
    person.erased_at = person.joined_at + left * stream.uniform(0.3, 0.95)
    person.user = None
    accounts.erased += 1
    assert person.team is not None
    _tell(
        accounts,
        stream,
        person.erased_at,
        None,
        person.team.id,
        "user.erased",
        "user",
    )


def _tell_subscriptions(
    accounts: Accounts, customer: Customer, stream: random.Random
) -> None:
    """Add the changes of subscriptions to the audit trail."""
    before: str | None = None
    for subscription in customer.subscriptions:
        changes = {"plan_type": [before, subscription.plan_type]}
        entry = _tell(
            accounts,
            stream,
            subscription.created_at,
            customer.owner_id,
            None,
            "subscription.created",
            "subscription",
        )
        entry.resource_id = str(subscription.id)
        entry.changes = changes
        if subscription.status in ("incomplete", "incomplete_expired"):
            entry.status = "pending"
        before = subscription.plan_type
        if subscription.canceled_at is not None:
            entry = _tell(
                accounts,
                stream,
                subscription.canceled_at,
                customer.owner_id,
                None,
                "subscription.canceled",
                "subscription",
            )
            entry.resource_id = str(subscription.id)


def _tell(
    accounts: Accounts,
    stream: random.Random,
    at: dt.datetime,
    user_id: UUID | None,
    team_id: UUID | None,
    action: str,
    resource_type: str,
) -> AuditLog:
    entry = AuditLog(
        id=new_id(stream, at),
        user_id=user_id,
        team_id=team_id,
        action=action,
        resource_type=resource_type,
        resource_id=str(team_id) if team_id else "",
        changes={},
        status="success",
        occurred_at=at,
        created_at=at,
    )
    accounts.audit_logs.append(entry)
    return entry
