"""The linters catch what they are there for: each gets a planted fault.

Each runs as `make lint` runs it, with the project's own settings, on a small tree that
holds a sound file beside the faulty one.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.python.support import ROOT, Database, environment

SETTINGS = (
    ".dbtignore",
    ".sqlfluff",
    ".sqlfluffignore",
    ".squawk.toml",
    "dbt_project.yml",
    "profiles.yml",
    "pyproject.toml",
    "bootstrap/migrations/.sqlfluff",
    "bootstrap/migrations/.squawk.down.toml",
    "scripts/check_engine.py",
    "scripts/check_macros.py",
    "scripts/check_sql_syntax.py",
    "scripts/lint",
)

SOUND = {
    "models/sound.sql": "select 1 as one\n",
    "macros/sound.sql": "{% macro one() -%}\n    cast(1 as integer)\n{%- endmacro %}\n",
    "tests/generic/sound.sql": (
        "{% test no_rows(model) %}\nselect 1 as one from {{ model }} where false\n"
        "{% endtest %}\n"
    ),
    "packages/exact/dbt_project.yml": (
        ROOT / "packages/exact/dbt_project.yml"
    ).read_text(),
    "packages/exact/engine/sound.sql": (
        "{% macro _engine_sound(schema) %}\nselect 1 as {{ schema }};\n{% endmacro %}\n"
    ),
    "packages/exact/macros/sound.sql": "select 1 as one;\n",
    "packages/exact/tests/sound.sql": "select 1 as one;\n",
    "benchmarks/sound.py": '"""Nothing."""\n',
    "bootstrap/sound.py": '"""Nothing."""\n',
    "models/sound_expectations.py": '"""Nothing."""\n',
    "refresh/sound.py": '"""Nothing."""\n',
    "saas_analytics/sound.py": '"""Nothing."""\n',
    "tests/mutation/sound.py": '"""Nothing."""\n',
    "tests/python/sound.py": '"""Nothing."""\n',
    "tests/versions/sound.py": '"""Nothing."""\n',
    "bootstrap/erase/sound.sql": "delete from things\nwhere id = %(thing)s::uuid;\n",
    "bootstrap/schema_differences.sql": "select 1 as one;\n",
    "bootstrap/adopt_functions.sql": "select 1 as one;\n",
    "bootstrap/migrations/001_sound.sql": (
        "begin;\n\nset local lock_timeout = '10s';\n\n"
        "create table things (id uuid primary key);\n\ncommit;\n"
    ),
    "bootstrap/migrations/001_sound.down.sql": (
        "begin;\n\nset local lock_timeout = '10s';\n\ndrop table things;\n\ncommit;\n"
    ),
}

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

# Check, file, its text, and what the linter says of it.
FAULTS = [
    (
        "macros",
        "macros/loud.sql",
        "{% macro loud() %}SELECT 1{% endmacro %}\n",
        "select",
    ),
    (
        "macros",
        "tests/generic/old.sql",
        "{% test t(m) %}a::date{% endtest %}\n",
        "cast",
    ),
    (
        "macros",
        "packages/exact/engine/body.sql",
        "create function one() returns integer language sql as $$ SELECT 1 $$;\n",
        "select",
    ),
    (
        "engine",
        "packages/exact/engine/typo.sql",
        "{% macro _engine_typo(schema) %}\ncreate function {{ schema }}.touch() "
        "returns void\nlanguage plpgsql as $$\nbegin\n    RETRUN;\nend;\n$$;\n"
        "{% endmacro %}\n",
        'typo.sql:5: public.touch: syntax error at or near "RETRUN"',
    ),
    (
        "migrations",
        "bootstrap/migrations/002_loud.sql",
        "CREATE TABLE more_things (id uuid);\n",
        "CP01",
    ),
    (
        "syntax",
        "bootstrap/migrations/002_typo.sql",
        FUNCTION.format(statement="RETRUN new;"),
        '002_typo.sql:5: touch: syntax error at or near "RETRUN"',
    ),
    (
        "syntax",
        "bootstrap/migrations/002_unknown.sql",
        FUNCTION.format(statement="total := 1;"),
        '"total" is not a known variable',
    ),
    (
        "syntax",
        "bootstrap/migrations/002_half.down.sql",
        "begin;\n\ndrop tabel things;\n\ncommit;\n",
        '002_half.down.sql:3: syntax error at or near "tabel"',
    ),
    (
        "ddl",
        "bootstrap/migrations/002_lock.sql",
        "begin;\nset local lock_timeout = '10s';\n"
        "create index things_at on things (made_at);\ncommit;\n",
        "require-concurrent-index-creation",
    ),
    (
        "ddl",
        "bootstrap/migrations/002_wait.down.sql",
        "begin;\nalter table things drop column made_at;\ncommit;\n",
        "require-lock-timeout",
    ),
    (
        "ddl",
        "bootstrap/migrations/002_lose.sql",
        "begin;\nset local lock_timeout = '10s';\ndrop table things;\ncommit;\n",
        "ban-drop-table",
    ),
    ("python", "scripts/unused.py", "import os\n", "F401"),
    ("format", "scripts/layout.py", "x = {'a':1}\n", "layout.py"),
    (
        "types",
        "scripts/typed.py",
        "def one() -> int:\n    return 'one'\n",
        "return-value",
    ),
]


@pytest.fixture(scope="module")
def sound_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linters and their settings, over a few files without fault."""
    tree = tmp_path_factory.mktemp("lint") / "with a space"
    for name in SETTINGS:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    (tree / ".venv").symlink_to(sys.prefix)
    for name, text in SOUND.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return tree


def lint(
    tree: Path, *checks: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the linters on a tree."""
    return subprocess.run(
        [str(tree / "scripts" / "lint"), *checks],
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_sound_files_pass(sound_tree: Path) -> None:
    checks = sorted({check for check, *_ in FAULTS})
    result = lint(sound_tree, *checks)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("check", "name", "text", "message"), FAULTS)
def test_fault_is_caught(
    sound_tree: Path, check: str, name: str, text: str, message: str
) -> None:
    faulty = sound_tree / name
    faulty.write_text(text)
    try:
        result = lint(sound_tree, check)
    finally:
        faulty.unlink()
    assert result.returncode == 1
    assert message in result.stdout
    assert "sound" not in result.stdout


def test_fault_in_a_model_is_caught(sound_tree: Path, empty_database: Database) -> None:
    """One run, for dbt takes its time: the style, and SQL that does not parse."""
    loud = sound_tree / "models" / "loud.sql"
    loud.write_text("SELECT one.one from {{ ref('sound') }} as one\n")
    torn = sound_tree / "models" / "torn.sql"
    torn.write_text("select from where\n")
    try:
        result = lint(sound_tree, "models", env=empty_database.environment())
    finally:
        loud.unlink()
        torn.unlink()
    assert result.returncode == 1
    assert "loud.sql] FAIL" in result.stdout
    assert "CP01" in result.stdout
    assert "torn.sql] FAIL" in result.stdout
    assert "PRS" in result.stdout
    assert "sound.sql] FAIL" not in result.stdout


def test_unknown_check_is_refused(sound_tree: Path) -> None:
    result = lint(sound_tree, "spelling")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "spelling" in result.stderr
