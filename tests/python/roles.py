"""Roles of a test's own, in a database of its own."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from psycopg2 import sql

from tests.python.support import Database, new_database, run, with_login

# A text that a leak would contain.
PASSWORD = "s3cret-of-a-role"


@dataclass(frozen=True)
class Stage:
    """A migrated database, its owner, and roles of its own."""

    admin: Database
    """The database as the server's administrator sees it."""

    owner: Database
    """The same as the user sees it who migrates."""

    transformer: str
    analyst: str
    application: str

    def environment(self) -> dict[str, str]:
        """The environment of a program that the owner runs."""
        return self.owner.environment(
            DB_TRANSFORMER_ROLE=self.transformer,
            DB_ANALYST_ROLE=self.analyst,
            DB_APPLICATION_ROLE=self.application,
        )

    def make_roles(self) -> subprocess.CompletedProcess[str]:
        """Run `saas roles` as the owner."""
        return run("roles", env=self.environment())

    def login(self, role: str) -> Database:
        """The database for a role, which gets a password for it."""
        self.admin.execute(
            sql.SQL("alter role {} login password {}").format(
                sql.Identifier(role), sql.Literal(PASSWORD)
            )
        )
        return Database(with_login(self.admin.url, role, PASSWORD))

    def relations(self, schema: str = "%") -> set[tuple[str, str]]:
        """Schema and name of every table and view that is not the server's own."""
        return self._relations("nspname like %s", schema)

    def allowed(self, role: str, privilege: str) -> set[tuple[str, str]]:
        """Those of them that a role may select from, insert into and so on."""
        return self._relations(
            "has_schema_privilege(%s, pg_namespace.oid, 'usage') "
            "and has_table_privilege(%s, pg_class.oid, %s)",
            *(role, role, privilege),
        )

    def _relations(self, condition: str, *parameters: str) -> set[tuple[str, str]]:
        rows = self.admin.execute(
            "select nspname::text, relname::text from pg_class "
            "join pg_namespace on pg_namespace.oid = relnamespace "
            "where relkind in ('r', 'p', 'v', 'm') "
            "and nspname not like 'pg\\_%%' and nspname <> 'information_schema' "
            f"and {condition}",
            parameters,
        )
        return {(schema, name) for schema, name in rows}


MakeStage = Callable[[str], Stage]


@contextmanager
def set_stage(server_url: str, right: str) -> Iterator[Stage]:
    """A migrated database, whose owner has a right of a role: CREATEROLE, or none."""
    with ExitStack() as clean_up:
        server = Database(server_url)
        suffix = uuid.uuid4().hex[:8]
        # Names that need quoting, as your own roles may.
        owner = f"owner-{suffix}"
        roles = (
            *(f'dbt "x" {suffix}', f"Analysts 100% {suffix}"),
            f"app's own {suffix}",
        )
        server.execute(
            sql.SQL("create role {} login password {} {}").format(
                sql.Identifier(owner), sql.Literal(PASSWORD), sql.SQL(right)
            )
        )
        for role in (owner, *roles):
            clean_up.callback(
                server.execute,
                sql.SQL("drop role if exists {}").format(sql.Identifier(role)),
            )
        made = clean_up.enter_context(new_database(server_url, owner=owner))
        as_owner = Database(with_login(made.url, owner, PASSWORD))
        stage = Stage(made, as_owner, *roles)
        run("migrate", env=stage.environment()).check_returncode()
        yield stage


def attempt(database: Database, statement: str) -> type[Exception] | None:
    """What a statement is refused with, if it is; it leaves nothing."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(statement)
        except Exception as error:
            return type(error)
        finally:
            connection.rollback()
    return None
