"""Neither SQL nor output is put together from what a user typed."""

import ast
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from saas_analytics import settings
from saas_analytics.errors import UserError
from saas_analytics.output import plain
from tests.python.support import (
    ROOT,
    Database,
    copy_project,
    environment,
    refusal,
    run,
)

CODE = sorted(
    path
    for folder in ("bootstrap", "saas_analytics")
    for path in (ROOT / folder).rglob("*.py")
)

# What takes SQL as its first argument.
TAKES_SQL = {"execute", "executemany", "copy_expert", "mogrify", "SQL", "text"}


def assembled_sql(code: str) -> Iterator[str]:
    """Calls that are given SQL which is put together on the spot, not a literal.

    Composables of psycopg2.sql quote what is put into them; ruff's S608 finds strings
    that are put together elsewhere.
    """
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = node.args[0]
        if name in TAKES_SQL and (
            isinstance(given, ast.JoinedStr | ast.BinOp)
            or (
                isinstance(given, ast.Call)
                and isinstance(given.func, ast.Attribute)
                and isinstance(given.func.value, ast.Constant)
            )
        ):
            yield ast.unparse(node)


def test_sql_is_a_literal_with_quoted_names_and_parameters() -> None:
    assert len(CODE) > 20
    found = {
        f"{path.relative_to(ROOT)}: {call}"
        for path in CODE
        for call in assembled_sql(path.read_text())
    }
    assert found == set()


@pytest.mark.parametrize(
    "call",
    [
        "cursor.execute(f'drop table {name}')",
        "cursor.execute('drop table ' + name)",
        "cursor.execute('drop table %s' % name)",
        "cursor.execute('drop table {}'.format(name))",
        "cursor.execute(' '.join(['drop table', name]))",
        "cursor.execute(sql.SQL(f'drop table {name}'))",
    ],
)
def test_each_way_to_put_sql_together_is_found(call: str) -> None:
    assert len(list(assembled_sql(call))) == 1


# --- Output ---------------------------------------------------------------------------

HOSTILE = (
    "/b[/nope]",
    "[link=https://evil.example]x[/link]",
    "a\x1b[31mred\x1b]8;;https://evil.example\x07",
    "one\ntwo\rthree",
    "\u202eright to left\u2066",
    "\x9b2J",
    ":warning:",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_character_of_a_text_acts_on_a_terminal(text: str) -> None:
    shown = plain(text)

    assert len(shown) == len(text)
    assert all(unicodedata.category(each)[0] != "C" for each in shown)
    assert plain("Ünï 中文 a/b[0]") == "Ünï 中文 a/b[0]"


def test_the_tour_prints_what_the_marts_say_as_text(marts: Database) -> None:
    for position, text in enumerate(HOSTILE):
        marts.execute(
            "update analytics.fct_api_usage_daily set endpoint = %s, requests = 1000, "
            "error_rate = 1 where ctid = (select ctid from "
            "analytics.fct_api_usage_daily where requests <> 1000 limit 1)",
            (text,),
        )
        shown = run("tour", env=marts.environment(COLUMNS="200"))
        assert shown.returncode == 0, shown.stderr
        assert plain(text) in shown.stdout, position
        harmful = {each for each in shown.stdout if each not in "\n"} - set(
            map(chr, range(32, 127))
        )
        assert {unicodedata.category(each) for each in harmful} & {"Cc", "Cf"} == set()
        marts.execute(
            "update analytics.fct_api_usage_daily set requests = 1 "
            "where requests = 1000"
        )


def test_an_error_of_the_server_is_one_line_of_text(database: Database) -> None:
    message = refusal(run("erase-user", "\x1b[31m", env=database.environment()), 2)

    assert "\x1b" not in message


# --- Small openings -------------------------------------------------------------------


def test_no_password_is_on_the_command_line_of_psql(tmp_path: Path) -> None:
    """Nor that of a key, for which there is no variable."""
    psql = tmp_path / "psql"
    psql.write_text(
        '#!/bin/sh\necho "arguments: $*"\ncat "$PGSERVICEFILE"\n'
        'cat "$PGSERVICEFILE"\necho "password: $PGPASSWORD"\n'
    )
    psql.chmod(0o755)
    env = environment(
        DATABASE_URL="postgresql://u:first@db.example.com/d?sslpassword=second",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )

    told = run("psql", "-c", "select 1", env=env).stdout

    arguments = told.splitlines()[0]
    assert "first" not in arguments
    assert "second" not in arguments
    assert "service=saas_analytics" in arguments
    assert told.count("[saas_analytics]\nsslpassword=second\n") == 2
    assert "password: first" in told


@pytest.mark.parametrize(
    ("content", "mode", "warns"),
    [
        ("DB_PASSWORD=secret\nDB_HOST=x\nDB_NAME=y\n", 0o644, True),
        ("DATABASE_URL=postgresql://u:secret@x/y\n", 0o640, True),
        ("DATABASE_URL=postgresql://x/y?sslpassword=secret\n", 0o604, True),
        ("DB_PASSWORD=secret\nDB_HOST=x\nDB_NAME=y\n", 0o600, False),
        ("DATABASE_URL=postgresql://u@x/y\n", 0o644, False),
    ],
)
def test_a_password_that_other_users_can_read_is_warned_of(
    tmp_path: Path, content: str, mode: int, warns: bool
) -> None:
    project = copy_project(tmp_path)
    file = project / ".env"
    file.write_text(content)
    file.chmod(mode)

    told = run("url", env=environment(), root=project).stderr

    assert ("chmod 600 .env" in told) is warns
    assert "secret" not in told


@pytest.mark.parametrize("schema", ["it's", 'a"b', "a$refresh$b", "a\\b", "a\nb"])
def test_a_schema_of_marts_that_could_leave_a_literal_is_refused(schema: str) -> None:
    with pytest.raises(UserError, match="DBT_SCHEMA"):
        settings.load({"DBT_SCHEMA": schema})
