"""The project's folder: there are dbt_project.yml, .env and the embedded server."""

import contextlib
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from saas_analytics.errors import UserError

# dbt's name of the project.
NAME = "saas_analytics"

FILE = "dbt_project.yml"

# A checkout has the package beside the models; an installed package lies elsewhere.
_CHECKOUT = Path(__file__).resolve().parent.parent

# The project that dbt runs, where its caller names another than the present folder's.
_SERVED: ContextVar[Path | None] = ContextVar("served", default=None)


def root() -> Path:
    """The folder of the project.

    The package of a checkout serves that checkout alone, wherever it is called. An
    installed one serves the project that DBT_PROJECT_DIR names, or the one that the
    working folder is in.

    Raises:
        UserError: there is no project there.
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
        f"{here} is in no project: change to the folder with the {FILE} of {NAME}, or "
        "name that folder in DBT_PROJECT_DIR"
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
    """Whether one of these is the project, or a copy of it."""
    return any(map(is_project, folders))


@contextlib.contextmanager
def served(*folders: Path) -> Iterator[None]:
    """Take the first of these that is a project for the one of an installed package."""
    token = _SERVED.set(next(filter(is_project, folders), None))
    try:
        yield
    finally:
        _SERVED.reset(token)
