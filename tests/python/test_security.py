"""SQL is never put together from what somebody typed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.python.support import ROOT

CODE = sorted(
    path
    for folder in ("bootstrap", "refresh")
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


@pytest.mark.parametrize("folder", ["bootstrap", "refresh"])
def test_ruff_finds_sql_that_is_put_together_elsewhere(folder: str) -> None:
    code = 'def query(name: str) -> str:\n    return f"select * from {name}"\n'

    result = subprocess.run(
        [
            *(
                Path(sys.executable).with_name("ruff"),
                "check",
                "--output-format",
                "concise",
            ),
            *("--stdin-filename", str(Path(folder) / "anything.py"), "-"),
        ],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
    )

    assert "S608" in result.stdout
