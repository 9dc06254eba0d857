"""Indexes of names, whose keys depend on the types of their columns.

Migration 006 makes them: a text is cut as the macro name_of() cuts it, any other type,
such as an enum, is a key as it is. PostgreSQL refuses to cut an enum in an index.
"""

import re
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

# How many characters of each column count, in the order of the index: as in the macro
# name_limits() and in migration 006.
KEYS = {
    "api_usage_endpoint_day_idx": {"endpoint": 257, "method": 201},
    "error_logs_type_day_idx": {"error_type": 201, "severity": 201, "source": 201},
    "audit_logs_action_day_idx": {"action": 201, "resource_type": 201, "status": 201},
    "affiliate_clicks_campaign_idx": {"utm_campaign": 257},
    "affiliate_referrals_campaign_idx": {"utm_campaign": 257},
}

# A partitioned index is shown as one of the parent "only".
_INDEXES = """
select
    indexrelid::regclass::text, pg_class.relname::text, attname::text,
    quote_ident(attname),
    replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
from pg_index
inner join pg_class on pg_index.indexrelid = pg_class.oid
inner join pg_attribute
    on pg_attribute.attrelid = pg_index.indrelid
    and pg_attribute.attnum = %(number)s
where pg_index.indrelid = %(table)s::regclass
"""


@dataclass(frozen=True)
class Index:
    """An index to make again."""

    name: str
    definition: str


def others(cursor: Cursor, key: dict[str, object], *, is_text: bool) -> list[Index]:
    """The indexes that have another key once this column has a type of that kind."""
    cursor.execute(_INDEXES, key)
    changed = []
    for name, short_name, column, quoted, definition in cursor.fetchall():
        characters = KEYS.get(short_name, {}).get(column)
        if characters is None:
            continue
        new = with_key(definition, quoted, characters, is_text=is_text)
        if new != definition:
            changed.append(Index(name, new))
    return changed


def with_key(definition: str, column: str, characters: int, *, is_text: bool) -> str:
    """An index's definition with the key of a column that is a text, or none."""
    cut = f"(({column})::character varying({characters}))"
    if not is_text:
        return definition.replace(cut, column)
    if cut in definition:
        return definition
    # A key ends with a comma or the parenthesis, unlike the column in the condition.
    return re.sub(rf"(?<=[( ]){re.escape(column)}(?=[,)])", lambda _: cut, definition)
