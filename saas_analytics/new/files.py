"""Writing files of the project: all or none, and never over another one."""

import re
from collections.abc import Mapping
from pathlib import Path

import click

from saas_analytics import project
from saas_analytics.errors import UserError


def refuse_name(name: str, pattern: str, form: str, longest: int) -> None:
    """Stop at a name that can't be used.

    Args:
        name: the one to check.
        pattern: what it has to match, as a whole.
        form: the same in words, with an example.
        longest: how many characters it may have.

    Raises:
        UserError: it does not match, or is too long.
    """
    if not re.fullmatch(pattern, name):
        raise UserError(f"{name} is not a valid name: give {form}")
    if len(name) > longest:
        raise UserError(
            f"{name} has {len(name)} characters: give a name of at most {longest}"
        )


def write(made: Mapping[str, str], appended: Mapping[str, str] | None = None) -> None:
    """Write new files and the ends of others, all or none, and list them.

    Args:
        made: the text of each new file, by its path in the project.
        appended: the text to add to the end of existing files.

    Raises:
        UserError: a new file is there already, or another one is missing.
    """
    root = project.root()
    appended = appended or {}
    for path in made:
        if (root / path).exists():
            raise UserError(f"{path} is there already: choose another name")
    for path in appended:
        if not (root / path).is_file():
            raise UserError(f"{path} is missing: run this in a checkout of the project")
    former = {path: (root / path).read_text("utf-8") for path in appended}
    try:
        for path, text in made.items():
            (root / path).write_text(text, "utf-8")
        for path, text in appended.items():
            (root / path).write_text(former[path].rstrip("\n") + "\n" + text, "utf-8")
    except OSError:
        for path in made:
            (root / path).unlink(missing_ok=True)
        for path, text in former.items():
            (root / path).write_text(text, "utf-8")
        raise
    for path in made:
        click.echo(f"wrote    {path}")
    for path in appended:
        click.echo(f"added to {path}")


def folder(path: str) -> Path:
    """A folder of the project.

    Raises:
        UserError: it is not there, because the package is installed.
    """
    found = project.root() / path
    if not found.is_dir():
        raise UserError(f"{path} is missing: run this in a checkout of the project")
    return found
