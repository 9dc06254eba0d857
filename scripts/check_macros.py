"""Check the style of the SQL in macros, generic tests and the package `exact`.

On their own these render to nothing, so that sqlfluff skips them. This reads the SQL
between the Jinja tags token by token, function bodies included, as PostgreSQL's scanner
reads it. It checks the rules of .sqlfluff that need no complete statement.

    scripts/check_macros.py FILE_OR_FOLDER ...
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pglast.parser import ParseError, scan

MAX_LINE_LENGTH = 88
INDENT = 4
# Folders whose SQL may use PostgreSQL's dialect, because no other engine runs it.
POSTGRES_ONLY = (Path("macros", "adapter"), Path("packages"))

JINJA = re.compile(r"(?P<comment>\{#)|(?P<statement>\{%)|(?P<expression>\{\{)")
# An expression may contain braces, in dicts and in texts.
BRACE_OR_TEXT = re.compile(r"[{}]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)

DOLLAR_QUOTED = re.compile(r"(\$\w*\$)(?P<text>.*)\1", re.DOTALL)


def end_of_expression(source: str, start: int) -> int:
    """The offset after the brace that closes the expression that begins at `start`."""
    depth = 0
    for found in BRACE_OR_TEXT.finditer(source, start):
        depth += {"{": 1, "}": -1}.get(found.group(), 0)
        if depth == 0:
            return found.end()
    return len(source)


def without_jinja(source: str) -> str:
    """The SQL without Jinja, at the same offsets; an expression becomes a name."""
    parts = []
    end = 0
    while found := JINJA.search(source, end):
        parts.append(source[end : found.start()])
        if found["expression"]:
            end = end_of_expression(source, found.start())
        else:
            closing = "#}" if found["comment"] else "%}"
            end = source.find(closing, found.end()) + len(closing)
        blank = re.sub(r"[^\n]", " ", source[found.start() : end])
        parts.append("jinja" + blank[5:] if found["expression"] else blank)
    return "".join([*parts, source[end:]])


def layout_faults(source: str) -> Iterator[tuple[int, str]]:
    """The layout errors of a line, including its Jinja."""
    for number, line in enumerate(source.splitlines(), start=1):
        if len(line) > MAX_LINE_LENGTH:
            yield number, f"the line is too long ({len(line)} > {MAX_LINE_LENGTH})"
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if "\t" in line:
            yield number, "a tab: indent with spaces"
        elif line.strip() and (len(line) - len(line.lstrip())) % INDENT:
            yield number, f"the indent is not a multiple of {INDENT} spaces"
    if not source.endswith("\n") or source.endswith("\n\n"):
        yield source.count("\n") + 1, "the file must end with one newline"


def token_faults(
    sql: str, postgres_only: bool, first_line: int = 1
) -> Iterator[tuple[int, str]]:
    """The style errors of tokens of SQL, whose first line has this number."""
    lines = sql.splitlines()
    for token in scan(sql):
        text = sql[token.start : token.end + 1]
        lines_before = sql.count("\n", 0, token.start)
        line = first_line + lines_before
        if body := DOLLAR_QUOTED.fullmatch(text):
            yield from token_faults(body["text"], postgres_only, line)
        word = token.kind != "NO_KEYWORD" or token.name == "IDENT"
        if word and not text.startswith('"') and text != text.lower():
            yield line, f"write {text.lower()}, in lower case"
        elif token.name == "TYPECAST" and not postgres_only:
            yield line, "write cast(… as …): only PostgreSQL has ::"
        elif text == "<>":
            yield line, "write !="
        elif text == "," and lines[lines_before].lstrip().startswith(","):
            yield line, "move the comma to the end of the previous line"


def faults(source: str, postgres_only: bool = False) -> Iterator[tuple[int, str]]:
    yield from layout_faults(source)
    try:
        yield from token_faults(without_jinja(source), postgres_only)
    except ParseError as error:
        yield 1, f"cannot be read as SQL: {error.args[0]}"


def sql_files(arguments: list[str]) -> Iterator[Path]:
    """The given files, and the SQL files in the given folders."""
    for argument in arguments:
        path = Path(argument)
        yield from sorted(path.rglob("*.sql")) if path.is_dir() else [path]


def main(arguments: list[str]) -> int:
    paths = list(sql_files(arguments))
    if not paths:
        print("no SQL file found: name files or folders to check", file=sys.stderr)
        return 2
    failed = False
    for path in paths:
        is_postgres = any(place in path.parents for place in POSTGRES_ONLY)
        found = faults(path.read_text(encoding="utf-8"), is_postgres)
        for line, fault in sorted(set(found)):
            failed = True
            print(f"{path}:{line}: {fault}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
