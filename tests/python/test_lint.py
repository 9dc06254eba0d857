"""The checks of `make lint` that are the project's own, and how scripts/lint runs them.

Whether sqlfluff, squawk, ruff and mypy find what they are made to find is theirs.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import check_engine, check_macros, check_sql_syntax
from tests.python.support import ROOT

FUNCTION = """\
begin;

create function touch() returns trigger language plpgsql as $$
begin
    {statement}
    return new;
end;
$$;

commit;
"""


@pytest.mark.parametrize(
    ("macro", "said"),
    [
        ("{% macro one() -%}\n    cast(1 as integer)\n{%- endmacro %}\n", None),
        ("{% macro one() %}SELECT 1{% endmacro %}\n", "select"),
        ("{% test t(m) %}a::date{% endtest %}\n", "cast"),
        ("create function one() language sql as $$ SELECT 1 $$;\n", "select"),
    ],
)
def test_the_sql_of_a_macro_has_the_style_of_models(
    macro: str, said: str | None
) -> None:
    found = [fault for _, fault in check_macros.faults(macro)]
    assert (said is None) == (found == [])
    assert said is None or said in found[0]


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        (FUNCTION.format(statement="new.at := now();"), None),
        (
            FUNCTION.format(statement="RETRUN new;"),
            (5, 'touch: syntax error at or near "RETRUN"'),
        ),
        (
            FUNCTION.format(statement="total := 1;"),
            (3, 'touch: "total" is not a known variable'),
        ),
        (
            "begin;\n\ndrop tabel things;\n",
            (3, 'syntax error at or near "tabel"'),
        ),
    ],
)
def test_a_migration_that_does_not_parse_is_named_by_its_line(
    sql: str, fault: tuple[int, str] | None
) -> None:
    assert next(check_sql_syntax.faults(sql), None) == fault


def test_a_part_of_the_engine_that_does_not_parse_is_named_by_its_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "engine" / "typo.sql"
    path.parent.mkdir()
    for statement, expected in (
        ("return;", []),
        ("RETRUN;", [(path, 5, 'public.touch: syntax error at or near "RETRUN"')]),
    ):
        path.write_text(
            "{% macro _engine_typo(schema) %}\ncreate function {{ schema }}.touch() "
            f"returns void\nlanguage plpgsql as $$\nbegin\n    {statement}\nend;\n$$;\n"
            "{% endmacro %}\n"
        )
        assert list(check_engine.faults(tmp_path)) == expected


def lint(tree: Path, *checks: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tree / "scripts" / "lint"), *checks],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_check_that_finds_something_is_named_at_the_end(tmp_path: Path) -> None:
    tree = tmp_path / "with a space"
    (tree / "scripts").mkdir(parents=True)
    for name in ("scripts/lint", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    (tree / ".venv").symlink_to(sys.prefix)
    code = tree / "scripts" / "one.py"

    code.write_text('"""Nothing."""\n')
    assert lint(tree, "python", "format").returncode == 0
    code.write_text("import os\nx = {'a':1}\n")
    result = lint(tree, "python", "format")
    assert result.returncode == 1
    assert "F401" in result.stdout
    assert "scripts/lint python format" in result.stderr

    result = lint(tree, "spelling")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "spelling" in result.stderr
