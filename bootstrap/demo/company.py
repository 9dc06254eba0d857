"""The company in memory, without its events: its people, contracts and payments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bootstrap.demo.accounts import Accounts, open_accounts
from bootstrap.demo.affiliates import draw_clicks, run_programme
from bootstrap.demo.api import ApiFeed, api_clients
from bootstrap.demo.arguments import Arguments
from bootstrap.demo.billing import Books
from bootstrap.demo.customers import Customer, sign_up
from bootstrap.demo.feed import Directory, Load, windows
from bootstrap.demo.logs import AuditFeed, ErrorFeed
from bootstrap.demo.programme import Programme
from bootstrap.demo.rhythm import (
    Presences,
    Sessions,
    draw_sessions,
    gather,
    note_logins,
)
from bootstrap.demo.rows import (
    Affiliate,
    AuditLog,
    Click,
    Commission,
    License,
    Payment,
    Payout,
    Referral,
    Row,
    Subscription,
    Team,
    TeamMember,
    User,
)
from bootstrap.demo.stories import live
from bootstrap.demo.usage import UsageFeed

Timed = TypeVar(
    "Timed",
    Team,
    TeamMember,
    Subscription,
    Payment,
    Affiliate,
    Referral,
    Payout,
    Commission,
)


@dataclass(frozen=True, slots=True)
class Company:
    """The rows of the small tables, and the input of the event generators."""

    customers: list[Customer]
    users: list[User]
    accounts: Accounts
    books: Books
    programme: Programme
    presences: Presences
    sessions: Sessions


def found(arguments: Arguments) -> Company:
    """Generate the company."""
    customers = sign_up(arguments)
    books = live(customers, arguments)
    accounts = open_accounts(customers, arguments)
    programme = run_programme(customers, accounts, books, arguments)
    users = sorted(
        accounts.users + programme.users, key=lambda user: (user.created_at, user.id)
    )
    presences = gather(customers, accounts, users, arguments)
    sessions = draw_sessions(presences, arguments)
    note_logins(users, presences, sessions)
    return Company(
        customers=customers,
        users=users,
        accounts=accounts,
        books=books,
        programme=programme,
        presences=presences,
        sessions=sessions,
    )


def tables(
    company: Company, arguments: Arguments
) -> list[tuple[type[Row], Sequence[Row]]]:
    """Return the rows of the small tables, parents first, each in order of time."""
    clicks = sorted(
        draw_clicks(company.programme, arguments), key=lambda click: click.clicked_at
    )
    entries = sorted(
        company.accounts.audit_logs, key=lambda entry: (entry.occurred_at, entry.id)
    )
    return [
        (User, company.users),
        (License, company.accounts.licenses),
        (Team, _by_time(company.accounts.teams)),
        (TeamMember, _by_time(company.accounts.members)),
        (Subscription, _by_time(company.books.subscriptions)),
        (Payment, _by_time(company.books.payments)),
        (Affiliate, _by_time(company.programme.affiliates)),
        (Referral, _by_time(company.programme.referrals)),
        (Payout, _by_time(company.programme.payouts)),
        (Commission, _by_time(company.programme.commissions)),
        (Click, clicks),
        (AuditLog, entries),
    ]


def _by_time(rows: Sequence[Timed]) -> list[Timed]:
    return sorted(rows, key=lambda row: (row.created_at, row.id))


def events(
    company: Company, widths: Mapping[str, int], arguments: Arguments
) -> Iterator[Load]:
    """Yield the rows of the event tables, in order of arrival.

    `widths` holds the bytes of api_usage's integer columns.
    """
    directory = Directory(
        [user.id for user in company.users],
        [license_row.id for license_row in company.accounts.licenses],
        [team.id for team in company.accounts.teams],
    )
    presences, sessions = company.presences, company.sessions
    clients = api_clients(company.customers, company.users, arguments)
    usage = UsageFeed(company.customers, presences, sessions, directory, arguments)
    api = ApiFeed(clients, directory, widths, arguments)
    errors = ErrorFeed(clients, presences, sessions, directory, arguments)
    audits = AuditFeed(presences, sessions, directory, arguments)
    for window in windows(sessions, arguments):
        yield from usage.window(window)
        calls, arrived = api.window(window)
        yield from arrived
        yield from errors.window(window, calls)
        yield from audits.window(window)
