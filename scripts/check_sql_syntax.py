"""Parse SQL files with PostgreSQL's own parser, function bodies included.

sqlfluff reads the body of a function as an opaque string, so it accepts `RETRUN new;`.
This gives each file to PostgreSQL's parser and each PL/pgSQL body to PL/pgSQL's parser.
No server is needed.

    scripts/check_sql_syntax.py FILE_OR_FOLDER ...
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pglast import ast, parse_plpgsql, parse_sql
from pglast.parser import ParseError


def fault_of(error: ParseError) -> str:
    """The parser's message, without its position."""
    return str(error.args[0])


def error_offset(error: ParseError) -> int:
    """The offset at which the parser stopped, if it reports one."""
    offset = error.args[1] if len(error.args) > 1 else None
    return offset if isinstance(offset, int) else 0


def first_line(source: str, offset: int) -> int:
    """The line of the first character at or after an offset that is not blank."""
    start = len(source) - len(source[offset:].lstrip())
    return source.count("\n", 0, start) + 1


def text_option(options: tuple[ast.DefElem, ...] | None, name: str) -> str | None:
    """One option of CREATE FUNCTION or DO, such as the body or the language."""
    for element in options or ():
        if element.defname == name:
            value = element.arg[0] if isinstance(element.arg, tuple) else element.arg
            return value.sval if isinstance(value, ast.String) else None
    return None


def routine_fault(statement: ast.Node | None, source: str) -> str | None:
    """The syntax error in the body of a routine, if it has one."""
    if isinstance(statement, ast.CreateFunctionStmt):
        name = ".".join(str(part.sval) for part in statement.funcname or ())
        options, language = statement.options, None
    elif isinstance(statement, ast.DoStmt):
        name, options, language = "do block", statement.args, "plpgsql"
    else:
        return None
    language = text_option(options, "language") or language
    body = text_option(options, "as")
    try:
        if language == "plpgsql":
            parse_plpgsql(source)
        elif language == "sql" and body is not None:
            parse_sql(body)
    except ParseError as error:
        return f"{name}: {fault_of(error)}"
    return None


def faults(source: str) -> Iterator[tuple[int, str]]:
    """The line and the message of each statement that does not parse."""
    try:
        statements = parse_sql(source)
    except ParseError as error:
        yield first_line(source, error_offset(error)), fault_of(error)
        return
    for statement in statements:
        start = statement.stmt_location or 0
        length = statement.stmt_len or len(source) - start
        text = source[start : start + length]
        if fault := routine_fault(statement.stmt, text):
            yield line_within(source, start, text, fault), fault


def line_within(source: str, start: int, text: str, fault: str) -> int:
    """The line of an error: that of the word it names, or else the routine's first.

    PL/pgSQL's parser reports no position. A word that occurs once identifies its line.
    """
    named = re.search(r'at or near "(.+)"', fault)
    if named and text.count(named.group(1)) == 1:
        return first_line(source, start + text.index(named.group(1)))
    statement_start = re.search(
        r"^\s*(create|do)\b", text, re.IGNORECASE | re.MULTILINE
    )
    return first_line(
        source, start + (statement_start.start() if statement_start else 0)
    )


def sql_files(arguments: list[str]) -> Iterator[Path]:
    """The given files, and the SQL files in the given folders."""
    for argument in arguments:
        path = Path(argument)
        yield from sorted(path.rglob("*.sql")) if path.is_dir() else [path]


def main(arguments: list[str]) -> int:
    paths = list(sql_files(arguments))
    if not paths:
        print("no SQL file found: name files or folders to parse", file=sys.stderr)
        return 2
    failed = False
    for path in paths:
        for line, fault in faults(path.read_text(encoding="utf-8")):
            failed = True
            print(f"{path}:{line}: {fault}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
