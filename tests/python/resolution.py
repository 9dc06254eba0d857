"""A walk over the catalog: what runs as a greater role, and which role can change it.

Each object of our schemas belongs to a runner, the role whose rights it may run with.
An object is followed to all that it resolves to: the functions, operators, types and
relations of its rules, triggers, defaults, constraints, indexes and policies, and what
these resolve to in turn. Superusers and members of the runner are trusted with that.
"""

import re
from collections.abc import Iterator, Mapping

from psycopg2.extensions import cursor as Cursor

PINNED = ["search_path=pg_catalog, pg_temp"]

# Oids below this are the server's own.
FIRST_OID = 16384

# Catalogs of what is in a schema and has an owner: name, and prefix of its columns.
OWNED = {
    "pg_class": "rel",
    "pg_collation": "coll",
    "pg_conversion": "con",
    "pg_opclass": "opc",
    "pg_operator": "opr",
    "pg_opfamily": "opf",
    "pg_proc": "pro",
    "pg_statistic_ext": "stx",
    "pg_ts_config": "cfg",
    "pg_ts_dict": "dict",
    "pg_type": "typ",
}

# Catalogs of parts, which have no owner of their own: the column that names the whole.
PARTS = (
    *(("pg_rewrite", "pg_class", "ev_class"), ("pg_trigger", "pg_class", "tgrelid")),
    *(("pg_attrdef", "pg_class", "adrelid"), ("pg_policy", "pg_class", "polrelid")),
    ("pg_constraint", "pg_class", "conrelid"),
    ("pg_constraint", "pg_type", "contypid"),
    ("pg_amproc", "pg_opfamily", "amprocfamily"),
    ("pg_amop", "pg_opfamily", "amopfamily"),
)

# Casts and event triggers are in no schema: every role may come to run them.
EVERYWHERE = ("pg_cast", "pg_event_trigger")

_OWNED = " union all ".join(
    f"select '{catalog}'::regclass::oid as class, oid as object, "
    f"{prefix}owner as owner, {prefix}namespace as home from {catalog}"
    for catalog, prefix in OWNED.items()
)
_PARTS = " union all ".join(
    f"select '{whole}'::regclass::oid as class, {column} as object, "
    f"'{catalog}'::regclass::oid as part_class, oid as part from {catalog}"
    for catalog, whole, column in PARTS
)
_EVERYWHERE = " union all ".join(
    f"select '{catalog}'::regclass::oid, oid from {catalog}" for catalog in EVERYWHERE
)

# Of trusted roles: superusers, and members of the runner.
_TRUSTS = "(rolsuper or pg_has_role(pg_roles.oid, runner, 'member'))"

_HOMES = """
with recursive homes as (
    select pg_namespace.oid as home, runners.oid as runner
    from unnest(%(schemas)s, %(runners)s) as named (schema, role)
    inner join pg_namespace on nspname = schema
    inner join pg_roles as runners on rolname = role
)
"""

_WALK = f"""{_HOMES},

owned as ({_OWNED}
    union all select 'pg_event_trigger'::regclass, oid, evtowner, 0
    from pg_event_trigger
    union all select 'pg_language'::regclass, oid, lanowner, 0 from pg_language
),

edges as (
    select classid as class, objid as object, refclassid as to_class, refobjid as "to"
    from pg_depend where refobjid >= {FIRST_OID}
    union all
    select class, object, part_class, part from ({_PARTS}) as parts
    union all
    -- An index is a part of its table, and has an owner.
    select 'pg_class'::regclass, indrelid, 'pg_class'::regclass, indexrelid
    from pg_index
),

reached as (
    select class, object, runner from owned inner join homes using (home)
    union
    select everywhere.*, runner
    from ({_EVERYWHERE}) as everywhere (class, object), homes
    where object >= {FIRST_OID}
    union
    select to_class, "to", runner from reached inner join edges using (class, object)
)

select distinct
    coalesce(
        pg_describe_object(edges.class, edges.object, 0) || ' resolves to ', ''
    ) || pg_describe_object(reached.class, reached.object, 0)
    || ' of role ' || rolname
from reached
inner join owned using (class, object)
inner join pg_roles on owner = pg_roles.oid
left join edges
    on edges.to_class = reached.class and edges."to" = reached.object
    and exists (
        select from reached as former
        where former.class = edges.class and former.object = edges.object
    )
where reached.object >= {FIRST_OID} and not {_TRUSTS}
"""

_RIGHTS = f"""{_HOMES}
select 'role ' || rolname || ' may create in schema ' || home::regnamespace
from homes, pg_roles
where not {_TRUSTS} and rolname !~ '^pg_'
    and has_schema_privilege(pg_roles.oid, home, 'create')
union all
select 'role ' || rolname || ' may put a trigger on ' || pg_class.oid::regclass
from homes inner join pg_class on relnamespace = home, pg_roles
where not {_TRUSTS} and rolname !~ '^pg_' and relkind in ('r', 'p', 'v', 'f')
    and has_table_privilege(pg_roles.oid, pg_class.oid, 'trigger')
"""

_FUNCTIONS = f"""{_HOMES}
select
    pg_proc.oid::regprocedure::text,
    prosrc,
    array(
        select setting from unnest(proconfig) as setting
        where setting like 'search_path=%%'
    ),
    array(select proname::text from pg_proc where pronamespace in (
        select home from homes
    ) and proname not in (
        select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace
    )),
    array(select relname::text from pg_class where relnamespace in (
        select home from homes
    ) and relkind in ('r', 'p', 'v', 'm'))
from homes inner join pg_proc on pronamespace = home
"""


def walk(cursor: Cursor, runners: Mapping[str, str]) -> list[str]:
    """What a role can change that a greater one runs; a line for each.

    Args:
        cursor: of a role that may read the catalog.
        runners: for each schema the role whose rights its objects run with.
    """
    given = {"schemas": list(runners), "runners": list(runners.values())}
    cursor.execute(_WALK, given)
    found = {line for (line,) in cursor}
    cursor.execute(_RIGHTS, given)
    found |= {line for (line,) in cursor}
    cursor.execute(_FUNCTIONS, given)
    for name, body, path, functions, relations in cursor:
        if path != PINNED:
            found.add(f"function {name} has the search_path {path}")
        for unqualified in _unqualified(body, functions, relations):
            found.add(f"function {name} looks up {unqualified}, without a schema")
    return sorted(found)


def _unqualified(
    body: str, functions: list[str], relations: list[str]
) -> Iterator[str]:
    """This project's names in a function's body that the search_path has to find."""
    code = re.sub(r"--[^\n]*|/\*.*?\*/", "", body, flags=re.DOTALL).lower()
    for called in set(re.findall(r'(?<![\w."])(\w+)\s*\(', code)) & set(functions):
        yield f"{called}()"
    keywords = "from|join|into|update|table|only|using"
    named = set(re.findall(rf"\b(?:{keywords})\s+(\w+)\b(?!\s*[.(])", code))
    # Names of the query itself hide relations.
    named -= set(
        re.findall(r"(\w+)(?:\s*\([^()]*\))?\s+as\s+(?:materialized\s+)?\(", code)
    )
    yield from named & set(relations)
