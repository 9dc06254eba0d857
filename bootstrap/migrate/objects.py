"""The tables, indexes, functions and constraints that identify a migration."""

import itertools
import re
from typing import Any

from bootstrap import adopt
from bootstrap.migrate.files import FOLDER, revisions, statements
from saas_analytics.errors import UserError


def refuse_foreign_objects(connection: Any, schema: str, missing: list[str]) -> None:
    """Refuse to migrate a schema that already has objects with these names."""
    makers = objects_by_file(missing)
    present = objects(connection, schema)
    found = sorted(present & set(makers))
    if found:
        files = _first_few(sorted({makers[name] for name in found}))
        if whole := complete(missing, present):
            advice = f"these files, run `saas stamp {whole[-1]}`"
        else:
            advice = f"migrations from before 0.1.0, {adopt.BRING}"
        raise UserError(
            f'schema "{schema}" already has objects of {files} '
            f"({_first_few(found)}): name another schema in DB_SCHEMA, or if psql made "
            f"them from {advice}"
        )


def refuse_missing_objects(connection: Any, schema: str, applied: list[str]) -> None:
    """Refuse to record migrations that never ran in the database."""
    makers = objects_by_file(applied)
    missing = sorted(set(makers) - objects(connection, schema))
    if missing:
        files = ", ".join(sorted({makers[name] for name in missing}))
        raise UserError(
            f'schema "{schema}" lacks objects of {files} '
            f"({_first_few(missing)}): stamp only migrations that psql has run there, "
            "or run `saas migrate` instead"
        )


def complete(missing: list[str], present: set[str]) -> list[str]:
    """The first migrations whose objects all exist, if no others' objects exist."""
    made = {revision: set(objects_by_file([revision])) for revision in missing}
    done = list(itertools.takewhile(lambda each: made[each] <= present, missing))
    while done and not made[done[-1]]:
        done.pop()
    others = set().union(*(made[each] for each in missing[len(done) :]))
    return [] if others & present else done


def tables_by_file() -> dict[str, str]:
    """The tables that migrations create, each with the name of its file."""
    return objects_by_file(revisions())


_MADE = (
    "create (?:table|function) ",
    # An index that replaces another one is renamed last. A DO block lists others.
    r"create index |alter index \w+ rename to | +\('(?=\w+_idx')",
    "add constraint ",
)


def objects_by_file(chosen: list[str]) -> dict[str, str]:
    """The objects that identify migrations, each with the name of its file.

    These are tables and functions. A migration without any is identified by its
    indexes, or else by its constraints. No later migration may drop them. An object of
    several migrations identifies the first. Indexes of default partitions are ignored,
    because PostgreSQL chooses other names when it recreates them.
    """
    makers: dict[str, str] = {}
    for revision in revisions():
        text = statements(FOLDER / f"{revision}.sql")
        for made in _MADE:
            names = re.findall(
                rf"^(?:{made})(?!\w+_default_)(\w+)", text, flags=re.MULTILINE
            )
            if names:
                makers = dict.fromkeys(names, revision) | makers
                break
    return {
        name: f"{revision}.sql"
        for name, revision in makers.items()
        if revision in chosen
    }


def objects(connection: Any, schema: str) -> set[str]:
    """The names of all tables, indexes, functions and constraints of a schema."""
    with connection.cursor() as cursor:
        cursor.execute(
            "with place as (select to_regnamespace(quote_ident(%s)) as oid) "
            "select relname from pg_class, place where relnamespace = place.oid "
            "union select proname from pg_proc, place where pronamespace = place.oid "
            "union select conname from pg_constraint, place "
            "where connamespace = place.oid",
            (schema,),
        )
        return {name for (name,) in cursor.fetchall()}


def _first_few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if names[5:] else "")
