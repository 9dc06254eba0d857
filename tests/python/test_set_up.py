"""Setting up: sound requirements, and one line about an unfit Python."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.python.support import ROOT, environment

REQUIREMENTS = (
    "requirements.txt",
    "requirements-expectations.txt",
    "requirements-dev.txt",
)
PINNED = re.compile(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^ ;]+)(?: ; (.*?))? \\$")


def pins(name: str) -> dict[str, set[str]]:
    """The versions of each package that a requirements file names."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if pinned := PINNED.match(line):
            found.setdefault(pinned[1], set()).add(pinned[2])
    return found


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_name_no_place(name: str) -> None:
    """Neither a package index nor a path of the machine they were compiled on."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^-|/", text, re.MULTILINE)


def test_the_other_postgresql_versions_are_pinned_and_hashed() -> None:
    folder = ROOT / "tests" / "versions"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    for name, package in wanted.items():
        pinned = locked[f"node_modules/{name}"]
        assert package == f"npm:{pinned['name']}@{pinned['version']}"
        assert pinned["integrity"].startswith("sha512-")
    assert len(locked) == len(wanted) + 1
    assert "://" not in json.dumps(locked)


def test_all_requirements_agree() -> None:
    """What runs is what was tested."""
    development = pins("requirements-dev.txt")
    for name in REQUIREMENTS:
        for package, versions in pins(name).items():
            assert versions == development[package]


def test_requirements_hold_every_dependency() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    block = project.partition("\ndependencies = [")[2].partition("\n]")[0]
    direct = re.findall(r'^    "([a-z0-9-]+)', block, re.MULTILINE)
    assert direct
    assert set(direct) <= pins("requirements.txt").keys()


def test_no_file_is_taken_for_a_plugin_of_dbt() -> None:
    """It imports what is called dbt_… and lies where a program or the project is."""
    assert [*ROOT.glob("dbt_*.py"), *ROOT.glob("scripts/dbt_*.py")] == []


def test_no_package_brings_a_gpu() -> None:
    heavy = re.compile(r"torch|nvidia|cuda")
    assert not [name for name in pins("requirements-dev.txt") if heavy.search(name)]


@pytest.fixture
def bare_project(tmp_path: Path) -> Path:
    """The set-up script in a project without .venv."""
    project = tmp_path / "it's a project"
    (project / "scripts").mkdir(parents=True)
    for name in ("install", "saas_analytics.pth"):
        shutil.copy(ROOT / "scripts" / name, project / "scripts")
    (project / "requirements.txt").touch()
    return project


def install(
    project: Path, python: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Set up with an interpreter of one's choice."""
    return subprocess.run(
        [str(project / "scripts" / "install"), "requirements.txt", ".venv/.stamp"],
        env=environment(PYTHON=python, **variables),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


# What the interpreter is like: it fails at the code that holds this word.
@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("version_info", "is Python 3.9.2, but dbt needs Python 3.10 to 3.13"),
        ("ensurepip", "apt install python3-venv"),
        ("python-of-none", "python-of-none is not installed"),
        ("false", "false does not run as Python"),
    ],
)
def test_unfit_python_is_refused(bare_project: Path, python: str, message: str) -> None:
    program = bare_project / "python"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *{python}*) exit 1;; esac\necho "Python 3.9.2"\n'
    )
    program.chmod(0o755)
    is_written = python in ("version_info", "ensurepip")
    refused = install(bare_project, str(program) if is_written else python)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (bare_project / ".venv").exists()


def test_another_python_is_found(bare_project: Path, tmp_path: Path) -> None:
    """Where python3 is too new, and none is asked for by name."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").write_text(
        '#!/bin/sh\ncase "$*" in *version_info*) exit 1;; esac\necho "Python 3.14.2"\n'
    )
    (programs / "python3.12").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    path = f"{programs}:{os.defpath}"
    found = install(bare_project, "", PATH=path)
    assert found.returncode == 0, found.stderr
    assert (bare_project / ".venv" / ".stamp").exists()


def test_the_environment_gets_the_command_and_the_hook(bare_project: Path) -> None:
    """Without a package: the command runs the code of the folder."""
    package = bare_project / "saas_analytics"
    (package / "command").mkdir(parents=True)
    (package / "hook.py").write_text("def install(): print('hooked', end=' ')\n")
    (package / "command" / "main.py").write_text(
        "import sys\ndef main(): print(*sys.argv[1:])\n"
    )
    made = install(bare_project, sys.executable)
    assert made.returncode == 0, made.stderr

    shown = subprocess.run(
        [str(bare_project / ".venv" / "bin" / "saas"), "up", "two words"],
        cwd=os.sep,
        env=environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=True,
    )
    # Python reads the .pth files of a virtual environment twice, or once.
    assert shown.stdout.replace("hooked ", "") == "up two words\n"
    assert shown.stdout.startswith("hooked ")
