"""Indexes of names, whose keys depend on the types of their columns.

Migration 006 creates them. It truncates a text as the macro name_of() does. A column of
another type, such as an enum, is a key without a change, because PostgreSQL refuses to
truncate an enum in an index.
"""

import re
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

# The lengths in characters of each column, in the order of the index. The macro
# name_limits() and migration 006 have the same numbers.
KEYS = {
    "api_usage_endpoint_day_idx": {"endpoint": 257, "method": 201},
    "error_logs_type_day_idx": {"error_type": 201, "severity": 201, "source": 201},
    "audit_logs_action_day_idx": {"action": 201, "resource_type": 201, "status": 201},
    "affiliate_clicks_campaign_idx": {"utm_campaign": 257},
    "affiliate_referrals_campaign_idx": {"utm_campaign": 257},
}

# PostgreSQL shows a partitioned index as one of "only" the parent.
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
    """An index to recreate."""

    name: str
    definition: str


def others(cursor: Cursor, key: dict[str, object], *, is_text: bool) -> list[Index]:
    """The indexes whose key changes when this column becomes a text, or no text."""
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
    """An index's definition for a column that is a text, or is not."""
    cut = f"(({column})::character varying({characters}))"
    if not is_text:
        return definition.replace(cut, column)
    if cut in definition:
        return definition
    # A comma or parenthesis ends a key, but not the column in the index's condition.
    return re.sub(rf"(?<=[( ]){re.escape(column)}(?=[,)])", lambda _: cut, definition)
