"""An erasure on a server that writes every statement to its log."""

from pathlib import Path

from saas_analytics.server.embedded import LOCALE, EmbeddedServer
from tests.python.conftest import DEBIAN_PROGRAMS
from tests.python.personal_data import PERSON, SESSION, plant, rows_of_a_person
from tests.python.servers import FAST, server_folder
from tests.python.support import Database, new_database, run

LOGGING = {
    "log_statement": "all",
    "log_min_duration_statement": "0",
    "log_error_verbosity": "verbose",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_verbose": "on",
}
PGAUDIT = DEBIAN_PROGRAMS.parent / "lib" / "pgaudit.so"


def servers(folder: Path) -> list[EmbeddedServer]:
    """A server that logs what it can, and where there is pgaudit one that audits."""
    explain = {"session_preload_libraries": "auto_explain"}
    made = [
        EmbeddedServer(
            folder / "18",
            configuration=tuple({**FAST, **LOGGING, **explain}.items()),
            initdb_options=(*LOCALE, "--no-sync"),
        )
    ]
    if PGAUDIT.exists():
        audit = {"shared_preload_libraries": "pgaudit", "pgaudit.log": "all"}
        made.append(
            EmbeddedServer(
                folder / "15",
                configuration=tuple({**FAST, **LOGGING, **audit}.items()),
                programs=DEBIAN_PROGRAMS,
                initdb_options=("--locale=C.UTF-8", "--no-sync"),
            )
        )
    return made


def test_no_statement_of_an_erasure_holds_a_personal_value() -> None:
    with server_folder() as folder:
        for server in servers(folder):
            server.start()
            try:
                for option in ((), ("--dry-run",)):
                    with new_database(server.url("postgres")) as database:
                        assert left_in_log(server, database, option) == set()
            finally:
                server.stop()


def left_in_log(
    server: EmbeddedServer, database: Database, option: tuple[str, ...]
) -> set[str]:
    """The values of the person that an erasure left in the server's log."""
    run("migrate", env=database.environment()).check_returncode()
    marks = plant(database, rows_of_a_person())
    ((email, hashed),) = database.execute(
        "select email, password_hash from users where id = %s", (PERSON,)
    )
    before = len(log_of(server))

    run("erase-user", PERSON, *option, env=database.environment()).check_returncode()

    written = log_of(server)[before:]
    # All statements are there, and so would be what they hold.
    assert 'update "public".users' in written
    assert "note_erasure" in written
    secret = {PERSON, SESSION, email, hashed, *marks}
    if not option:
        sessions = database.execute(
            "select distinct session_id from usage_events where user_id is null "
            "and session_id is not null and session_id not like 'a session%%'"
        )
        assert sessions
        secret |= {name for (name,) in sessions}
    return {value for value in secret if value in written}


def log_of(server: EmbeddedServer) -> str:
    """What a server has logged so far."""
    return (server.data.parent / "server.log").read_text(errors="replace")
