"""Render the SQL that the package `exact` installs, and parse it as the migrations are.

dbt's own Jinja renders each macro that writes a part of the engine, with stand-ins for
what only a run of dbt has. PostgreSQL's parser then reads the statements, and
PL/pgSQL's parser the function bodies. No server is needed.

    scripts/check_engine.py [FOLDER_OF_THE_PACKAGE]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dbt_common.clients.jinja import get_environment
from dbt_common.exceptions.macros import MacroReturn

from scripts import check_sql_syntax

PACKAGE = Path("packages", "exact")
# PL/pgSQL's parser knows the types of this schema and of no other one.
SCHEMA = "public"
INSTALLED = re.compile(r"^{% macro (_engine_\w+|_upgrade|_pin_\w+)\(schema\)", re.M)


Macros = dict[str, Callable[..., Any]]
"""The macros of the package by name, which dbt calls as `exact.name(…)`."""


def macros_of(texts: Iterable[str]) -> Macros:
    """The macros that these files define."""
    macros: Macros = {}
    context = {
        "exact": macros,
        "return": _return,
        "adapter": SimpleNamespace(
            dispatch=lambda name, _: macros[f"default__{name}"], quote='"{}"'.format
        ),
        "target": SimpleNamespace(schema="analytics"),
        "var": lambda _, default=None: default,
        "modules": SimpleNamespace(re=re),
    }
    environment = get_environment(None)
    for text in texts:
        module = environment.from_string(text, context).module
        for name, macro in vars(module).items():
            if name.startswith("dbt_macro__"):
                macros[name.removeprefix("dbt_macro__")] = partial(_call, macro)
    return macros


def _return(value: object) -> None:
    raise MacroReturn(value)


def _call(macro: Callable[..., object], *given: object, **named: object) -> object:
    try:
        return macro(*given, **named)
    except MacroReturn as result:
        return result.value


def line_in_source(rendered: str, line: int, source: str) -> int:
    """The line of a macro's file that a line of what it renders comes from.

    The nearest line at or above that is unchanged in the file counts.
    """
    lines = source.replace("{{ schema }}", SCHEMA).splitlines()
    for text in reversed(rendered.splitlines()[:line]):
        if lines.count(text) == 1:
            return lines.index(text) + 1
    return 1


def faults(folder: Path) -> Iterator[tuple[Path, int, str]]:
    """File, line and message of each part of the engine that does not parse."""
    texts = {
        path: path.read_text(encoding="utf-8")
        for place in ("macros", "engine")
        for path in sorted((folder / place).glob("*.sql"))
    }
    macros = macros_of(texts.values())
    for path, source in texts.items():
        for name in INSTALLED.findall(source):
            rendered = str(macros[name](SCHEMA))
            for line, fault in check_sql_syntax.faults(rendered):
                yield path, line_in_source(rendered, line, source), fault


def main(arguments: list[str]) -> int:
    """Print each fault; the exit code."""
    found = list(faults(Path(*arguments) if arguments else PACKAGE))
    for path, line, fault in found:
        print(f"{path}:{line}: {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
