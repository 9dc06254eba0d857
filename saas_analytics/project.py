"""The project's folder, which holds dbt_project.yml, .env and the embedded server."""

import contextlib
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from saas_analytics.errors import UserError

# The project's name in dbt_project.yml.
NAME = "saas_analytics"

FILE = "dbt_project.yml"

# In a checkout the package is next to the models. An installed package is elsewhere.
_CHECKOUT = Path(__file__).resolve().parent.parent

# The project that dbt runs, if its caller names another folder than the working one.
_SERVED: ContextVar[Path | None] = ContextVar("served", default=None)


def root() -> Path:
    """The folder of the project.

    The package of a checkout serves that checkout alone, from any working folder. An
    installed package serves the project that DBT_PROJECT_DIR names. Without that
    variable it serves the project that contains the working folder.

    Raises:
        UserError: that folder holds no project.
    """
    if (_CHECKOUT / FILE).is_file():
        return _CHECKOUT
    if named := _SERVED.get():
        return named
    if given := os.environ.get("DBT_PROJECT_DIR"):
        if is_project(Path(given)):
            return Path(given).resolve()
        raise UserError(
            f"DBT_PROJECT_DIR names {given}, which has no {FILE} of {NAME}: correct it"
        )
    here = Path.cwd()
    for folder in (here, *here.parents):
        if is_project(folder):
            return folder
    raise UserError(
        f"{here} is not in a project: change to the folder with the {FILE} of {NAME}, "
        "or name that folder in DBT_PROJECT_DIR"
    )


def is_project(folder: Path) -> bool:
    """Whether a folder holds this dbt project, or a copy of it."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return False
    return (
        re.search(rf"^name:\s*['\"]?{NAME}['\"]?\s*$", text, re.MULTILINE) is not None
    )


def serves(*folders: Path) -> bool:
    """Whether one of these folders is the project, or a copy of it."""
    return any(map(is_project, folders))


@contextlib.contextmanager
def served(*folders: Path) -> Iterator[None]:
    """Make an installed package serve the first of these folders that is a project."""
    token = _SERVED.set(next(filter(is_project, folders), None))
    try:
        yield
    finally:
        _SERVED.reset(token)
