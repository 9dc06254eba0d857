"""One command for everything, and one connection for every program that runs dbt."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import click
import psycopg2
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import saas_analytics
from saas_analytics import errors, project
from saas_analytics.command import main as entry
from saas_analytics.command.map import GROUPS, Map
from saas_analytics.command.server import exports
from saas_analytics.errors import Busy, Interrupted, NotRun, UserError
from tests.python.support import ROOT, Database, environment, refusal

COMMANDS = [name for commands in GROUPS.values() for name in commands]


def saas(
    *arguments: str, env: dict[str, str] | None = None, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `saas ARGUMENTS`, by the module: a wheel and make write the same program."""
    return subprocess.run(
        [sys.executable, "-m", "saas_analytics", *arguments],
        cwd=folder,
        env={**(env or environment()), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


# --- The map --------------------------------------------------------------------------


def test_help_lists_every_command_with_what_it_is_for() -> None:
    text = saas("--help").stdout

    for group in GROUPS:
        assert f"\n{group}:\n" in text
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", text, re.MULTILINE), name
    # None is cut off, or goes on in another line.
    listed = text.partition("Server:")[2].partition("Exit codes:")[0]
    assert "..." not in listed
    lines = [
        line for line in listed.splitlines() if line.startswith("  ") and line.strip()
    ]
    assert len(lines) == len(COMMANDS)

    for name in COMMANDS:
        command = entry.saas.get_command(click.Context(entry.saas), name)
        assert command is not None
        assert command.help
        assert command.help.partition("\n")[0].endswith((".", ")")), name


def test_no_command_is_outside_the_map() -> None:
    found = set()
    for path in (*ROOT.glob("bootstrap/**/*.py"), *ROOT.glob("saas_analytics/**/*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and any(
                "click.command" in ast.unparse(each) for each in node.decorator_list
            ):
                found.add(f"{module}:{node.name}")
    listed = {place for commands in GROUPS.values() for place in commands.values()}

    assert listed == found


@pytest.mark.parametrize(
    ("start", "usage"),
    [
        (["-m", "bootstrap"], "Usage: python -m bootstrap [OPTIONS] COMMAND"),
        (["-m", "bootstrap", "migrate"], "Usage: python -m bootstrap migrate ["),
        (["-m", "refresh"], "Usage: python -m refresh [OPTIONS] [MODELS]..."),
    ],
)
def test_the_former_ways_to_start_it_still_work(start: list[str], usage: str) -> None:
    shown = subprocess.run(
        [sys.executable, *start, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.startswith(usage)


def test_every_make_target_resolves() -> None:
    """Each names commands of the map, and files that are there."""
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert {"demo", "build", "refresh", "audit", "docs"} <= set(targets)
    for target in targets:
        planned = subprocess.run(
            ["make", "--no-print-directory", "--dry-run", "--always-make", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in re.findall(r"\.venv/bin/saas ([a-z-]+)", planned):
            assert name in COMMANDS, f"{target}: {name}"
        for module in re.findall(r"python -m ([\w.]+)", planned):
            assert module == "pytest" or (ROOT / module.replace(".", "/")).is_dir()
        for script in re.findall(r"(?<![\w/.])(scripts/\w+)", planned):
            assert (ROOT / script).is_file(), f"{target}: {script}"


# --- Exit codes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (UserError("it is so:\n do this"), 1, "it is so: do this"),
        (NotRun("there are no marts"), 2, "there are no marts"),
        (Busy("held by process 7"), 75, "held by process 7"),
        (Interrupted("interrupted: go on"), 130, "interrupted: go on"),
        (KeyboardInterrupt(), 130, "interrupted: unfinished changes were rolled back"),
        (click.UsageError("No such option"), 2, "No such option (see --help)"),
        (psycopg2.DataError("a bad value"), 1, "a bad value"),
        (PermissionError(13, "Permission denied"), 1, "[Errno 13] Permission denied"),
    ],
)
def test_what_went_wrong_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    said: str,
) -> None:
    @click.command()
    def fails() -> None:
        raise raised

    monkeypatch.setattr(Map, "get_command", lambda *_: fails)

    with pytest.raises(SystemExit) as leave:
        entry.main(["status"])

    assert leave.value.code == code
    assert code in errors.EXIT_CODES
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.parametrize("returned", [None, 0, 1, 2])
def test_a_command_ends_with_the_code_that_it_returns(
    monkeypatch: pytest.MonkeyPatch, returned: int | None
) -> None:
    @click.command()
    def ends() -> int | None:
        return returned

    monkeypatch.setattr(Map, "get_command", lambda *_: ends)

    with pytest.raises(SystemExit) as leave:
        entry.main(["status"])

    assert (leave.value.code or 0) == (returned or 0)


@pytest.mark.parametrize("arguments", ["nonsense", "migrate --nonsense", "capture"])
def test_wrong_usage_is_one_line(arguments: str) -> None:
    assert "(see --help)" in refusal(saas(*arguments.split()), code=2)


def test_help_names_every_exit_code() -> None:
    text = " ".join(saas("--help").stdout.split())
    for code, meaning in errors.EXIT_CODES.items():
        assert f"{code} {meaning}" in text


# --- The packages ---------------------------------------------------------------------


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The project's modules that a file imports, and whether it does so when loaded."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{n.name}" for n in node.names)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        for name in names:
            if name.partition(".")[0] in ("bootstrap", "saas_analytics", "refresh"):
                yield name, id(node) in top


def test_only_the_map_leads_from_the_package_to_bootstrap() -> None:
    """And it names modules, which are imported when their command is asked for."""
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "saas_analytics").rglob("*.py")
        for name, _ in imports(path)
        if name.startswith(("bootstrap", "refresh"))
    }
    assert found == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for folder in ("bootstrap", "saas_analytics"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            graph[".".join(parts)] = set()
    for module, needed in graph.items():
        path = ROOT / f"{module.replace('.', '/')}.py"
        for name, at_once in imports(path):
            # Of a package: a module in it, or what it has in its __init__.
            for target in (name, f"{name}.__init__"):
                if at_once and target in graph and target != module:
                    needed.add(target)
    # A package's __init__ is loaded before its modules; only their names are meant.
    graph = {
        module: {
            each
            for each in needed
            if not (
                each.endswith(".__init__")
                and module.startswith(each.removesuffix("__init__"))
            )
        }
        for module, needed in graph.items()
    }
    assert list(TopologicalSorter(graph).static_order())


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for folder in ("bootstrap", "saas_analytics", "refresh", "scripts")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".py", ".sql") and "migrations" not in path.parts
        if path.name != "schema.sql"
        if (lines := path.read_text().count("\n")) > 400
    ]
    assert long == []


# --- One version, one wheel -----------------------------------------------------------


def test_there_is_one_version_number() -> None:
    metadata = (ROOT / "pyproject.toml").read_text()
    dbt = yaml.safe_load((ROOT / "dbt_project.yml").read_text())

    assert 'dynamic = ["version"]' in metadata
    assert 'path = "saas_analytics/__init__.py"' in metadata
    assert not re.search(r"^version = ", metadata, re.MULTILINE)
    assert dbt["version"] == saas_analytics.__version__
    assert saas("--version").stdout == f"saas, version {saas_analytics.__version__}\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the project, by the build backend of the development set."""
    folder = tmp_path_factory.mktemp("wheel")
    pytest.importorskip("hatchling")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_has_the_command_and_every_file_that_it_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
        assert (
            "saas = saas_analytics.command.main:main" in archive.read(scripts).decode()
        )
        assert archive.read("saas_analytics.pth").decode().startswith("import ")
    tracked = subprocess.run(
        ["git", "ls-files", "bootstrap", "saas_analytics"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not tracked:
        pytest.skip("the files are in no git repository")
    assert set(tracked) <= names


def installed(folder: Path, wheel: Path) -> str:
    """A folder of packages with the wheel in it, and nothing of this project's."""
    packages = folder / "packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return str(packages)


def test_outside_of_a_project_it_says_in_one_line_what_to_do(
    wheel: Path, tmp_path: Path
) -> None:
    packages = installed(tmp_path, wheel)
    away = tmp_path / "away"
    away.mkdir()

    def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "saas_analytics", "url"],
            cwd=folder,
            env={
                **environment(DATABASE_URL="postgresql://localhost/x", **variables),
                "PYTHONPATH": packages,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    message = refusal(run(away))
    assert (
        "is not in a project: change to the folder with the dbt_project.yml" in message
    )
    assert "DBT_PROJECT_DIR" in message

    below = away / "project" / "models"
    below.mkdir(parents=True)
    (below.parent / "dbt_project.yml").write_text("name: saas_analytics\n")
    assert run(below).stdout == "postgresql://localhost/x\n"
    assert run(away, DBT_PROJECT_DIR=str(below.parent)).returncode == 0
    (below.parent / "dbt_project.yml").write_text("name: another\n")
    assert "is not in a project" in refusal(run(below))
    assert "correct it" in refusal(run(away, DBT_PROJECT_DIR=str(below.parent)))


def test_a_checkout_serves_itself_wherever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: saas_analytics\n")
    shown = saas(
        "url",
        env=environment(DATABASE_URL="postgresql://localhost/x"),
        folder=tmp_path,
    )
    assert shown.returncode == 0, shown.stderr
    assert project.root() == ROOT


# --- The connection for a shell -------------------------------------------------------

TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40
)
NAMES = st.from_regex(r"\ADBT_[A-Z_]{1,12}\Z")


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(NAMES, TEXTS, max_size=6))
def test_a_shell_gets_back_every_value_that_is_printed(values: dict[str, str]) -> None:
    show = "import os, json; print(json.dumps(dict(os.environ)))"
    shown = subprocess.run(
        [
            *("sh", "-c", f'eval "$1"; exec {shlex.quote(sys.executable)} -Ic "$2"'),
            *("sh", exports(values), show),
        ],
        env={"LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(shown.stdout)
    assert {name: found.get(name) for name in values} == values


def test_env_prints_the_connection_and_says_that_it_holds_a_password() -> None:
    secret = "it's $HOME `id`"
    shown = saas(
        "env",
        env=environment(
            DB_HOST="localhost",
            DB_PORT="1",
            DB_NAME="nothing",
            DB_USER="ada",
            DB_PASSWORD=secret,
            PGOPTIONS="",
        ),
    )

    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == "note: this output holds secrets: DBT_PASSWORD\n"
    values = dict(
        word.partition("=")[::2]
        for line in shown.stdout.splitlines()
        for word in shlex.split(line)[1:]
    )
    assert values["DBT_PASSWORD"] == secret
    assert values["DBT_SSLMODE"] == "prefer"
    assert values["DBT_SEARCH_PATH"] == "pg_catalog,pg_temp"
    # It would reach every other connection of the shell.
    assert "PGOPTIONS" not in values


# --- The connection in other programs -------------------------------------------------

# As IDEs, schedulers and notebooks start dbt: no program called dbt.
RUNNER = """
import os, sys
from saas_analytics import hook
hook.install()
from dbt.cli.main import dbtRunner
outcome = dbtRunner().invoke(sys.argv[1:])
print("PGOPTIONS" in os.environ, os.environ.get("DBT_HOST"))
if outcome.exception:
    print(outcome.exception)
sys.exit(not outcome.success)
"""


def run_in_process(
    arguments: Sequence[str], env: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUNNER, *arguments],
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


HERE = ("--project-dir", str(ROOT), "--profiles-dir", str(ROOT))


def test_dbt_runner_connects_with_the_projects_settings(
    database: Database, tmp_path: Path
) -> None:
    """Also from elsewhere, with the project's folder as an option."""
    env = database.environment(DBT_LOG_PATH=str(tmp_path))
    env.pop("PGOPTIONS", None)

    shown = run_in_process(["debug", "--connection", *HERE], env, tmp_path)

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "Connection test: " in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("False ")


def test_a_setting_that_can_not_be_used_reaches_who_called_dbt(tmp_path: Path) -> None:
    env = environment(
        DATABASE_URL="postgresql://ada:s3cret@host:port/saas",
        DBT_LOG_PATH=str(tmp_path),
    )
    shown = run_in_process(["run"], env, ROOT)

    assert shown.returncode == 1
    assert "DATABASE_URL has no usable port" in shown.stdout
    assert "s3cret" not in shown.stdout + shown.stderr


def test_another_project_of_the_same_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text(
        "name: another\nprofile: another\nversion: '1'\n"
    )
    (tmp_path / "profiles.yml").write_text(
        "another:\n  target: t\n  outputs:\n    t:\n      type: postgres\n"
        "      host: \"{{ env_var('DBT_HOST', 'its own') }}\"\n      port: 1\n"
        "      user: u\n      password: p\n      dbname: d\n      schema: s\n"
    )
    env = environment(
        DATABASE_URL="postgresql://ours/x", DBT_LOG_PATH=str(tmp_path / "log")
    )
    shown = run_in_process(["debug", "--config-dir"], env, tmp_path)

    assert shown.stdout.splitlines()[-1] == "False None", shown.stdout


def test_a_program_without_dbt_loads_nothing_of_ours_but_the_hook() -> None:
    show = (
        "before = set(sys.modules); from saas_analytics import hook; "
        "hook.install(); print(sorted(set(sys.modules) - before))"
    )
    shown = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.append({str(ROOT)!r}); {show}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = ast.literal_eval(shown.stdout)
    assert loaded == ["saas_analytics", "saas_analytics.hook"]


def test_an_interpreter_of_the_environment_has_the_hook_once() -> None:
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; print(sum(getattr(each, '__module__', '') == "
            "'saas_analytics.hook' for each in sys.meta_path))",
        ],
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "1\n"
