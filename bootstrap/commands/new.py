"""Commands that write the files of a migration, for `saas new`."""

import re

import click
import yaml

from saas_analytics import project
from saas_analytics.errors import UserError
from saas_analytics.new import files

FOLDER = "bootstrap/migrations"
SOURCES = "models/staging/_sources.yml"
NAME = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"

MIGRATION = """\
-- {number}: {purpose}.

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

{statements}
commit;
"""

WAY_BACK = """\
-- Takes {revision}.sql back{loss}.

begin;

set local lock_timeout = '10s';

{statements}
commit;
"""

VERSION = '''\
"""{purpose}."""

from bootstrap.migrate import sql_files

revision = "{revision}"
down_revision = "{former}"

upgrade, downgrade = sql_files(revision)
'''

EVENT_TABLE = """\
create table {name} (
    id uuid not null default gen_random_uuid(),
    user_id uuid references users (id) on delete set null,
    license_id uuid references licenses (id) on delete set null,
    occurred_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    primary key (occurred_at, id) with (fillfactor = 97)
) partition by range (occurred_at);

comment on table {name} is 'One row per event.';

create index {name}_user_id_idx on {name} (user_id)
where user_id is not null;
create index {name}_license_id_idx on {name} (license_id)
where license_id is not null;

-- Partitions by month, and what keeps marts exact: the columns that marts group by,
-- filter by or join by.
select enrol_event_table('{name}');
select capture_changes(
    '{name}', '{{user_id, license_id, occurred_at, created_at}}'
);
"""

SOURCE = """\
      - name: {name}
        description: One row per event.
        columns:
          - name: id
            data_type: uuid
            description: Primary key, with occurred_at.
          - name: user_id
            data_type: uuid
            description: The user; null when anonymous or erased.
          - name: license_id
            data_type: uuid
            description: "{{{{ doc('license_or_none') }}}}"
          - name: occurred_at
            data_type: timestamp with time zone
            description: When it happened; the partition key.
          - name: created_at
            data_type: timestamp with time zone
            description: "{{{{ doc('row_written_at') }}}}"
          - name: change_xid
            data_type: xid8
            description: "{{{{ doc('change_xid') }}}}"
"""

STAGING = """\
select
    id as {name}_id,
    user_id,
    license_id,
    occurred_at,
    created_at
from {{{{ source("saas", "{name}") }}}}
where {{{{ plausible_time("occurred_at", "created_at") }}}} is not null
"""

STAGING_PROPERTIES = """\
version: 2

models:
  - name: stg_saas__{name}
    description: One row per event at a plausible time.
    columns:
      - name: {name}_id
        description: Primary key.
        data_tests:
          - primary_key
      - name: user_id
        description: The user; null when anonymous or erased.
      - name: license_id
        description: "{{{{ doc('license_or_none') }}}}"
      - name: occurred_at
        description: "{{{{ doc('event_occurred_at') }}}}"
      - name: created_at
        description: "{{{{ doc('row_written_at') }}}}"
"""


@click.command("migration")
@click.argument("name")
def migration(name: str) -> None:
    """Write the files of a migration called NAME, to be filled in."""
    purpose = name.replace("_", " ")
    files.write(_migration(name, purpose, "-- What it changes.\n", "-- The reverse.\n"))


@click.command("column")
@click.argument("column", metavar="TABLE.COLUMN")
@click.argument("data_type", metavar="TYPE")
def column(column: str, data_type: str) -> None:
    """Write the migration that adds a column of a TYPE to a source table."""
    table, _, name = column.partition(".")
    files.refuse_name(table, NAME, "TABLE.COLUMN, as users.country", 63)
    files.refuse_name(name, NAME, "TABLE.COLUMN, as users.country", 63)
    known = _sources()
    if table not in known:
        raise UserError(
            f"there is no table {table} in {SOURCES}: give one of {', '.join(known)}"
        )
    if name in known[table]:
        raise UserError(f"{column} is in {SOURCES} already: choose another name")
    files.write(
        _migration(
            f"{table}_{name}",
            f"the column {column}",
            f"alter table {table} add column {name} {data_type};\n",
            f"alter table {table} drop column {name};\n",
            loss=". The values of the column are lost",
        )
    )


@click.command("event-table")
@click.argument("name")
def event_table(name: str) -> None:
    """Write the files of an event table: migration, source and staging view."""
    # Its partitions add 9 characters.
    files.refuse_name(name, NAME, "a table, as support_tickets", 40)
    if name in _sources():
        raise UserError(f"{name} is in {SOURCES} already: choose another name")
    files.write(
        _migration(
            name,
            f"the event table {name}",
            EVENT_TABLE.format(name=name),
            f"drop table {name};\n",
            loss=". Every row of the table is lost",
        )
        | {
            f"models/staging/stg_saas__{name}.sql": STAGING.format(name=name),
            f"models/staging/stg_saas__{name}.yml": STAGING_PROPERTIES.format(
                name=name
            ),
        },
        {SOURCES: SOURCE.format(name=name)},
    )


def _sources() -> dict[str, list[str]]:
    """The columns of each source table, as the models' YAML has them."""
    (source,) = yaml.safe_load((project.root() / SOURCES).read_text("utf-8"))["sources"]
    return {
        table["name"]: [column["name"] for column in table["columns"]]
        for table in source["tables"]
    }


def _migration(
    name: str, purpose: str, statements: str, way_back: str, loss: str = ""
) -> dict[str, str]:
    """The three files of the next migration.

    Raises:
        UserError: the name can't be used, or another migration has it.
    """
    # Alembic's table takes 32 characters, four of which are the number.
    files.refuse_name(name, NAME, "small letters, as support_tickets", 28)
    versions = sorted(
        path.stem
        for path in files.folder(f"{FOLDER}/versions").glob("*.py")
        if re.match(r"\d{3}_", path.stem)
    )
    if same := [each for each in versions if each[4:] == name]:
        raise UserError(f"there is a migration {same[0]} already: choose another name")
    number = f"{int(versions[-1][:3]) + 1:03}"
    given = {
        "number": number,
        "revision": f"{number}_{name}",
        "former": versions[-1],
        "loss": loss,
    }
    return {
        f"{FOLDER}/{number}_{name}.sql": MIGRATION.format(
            **given, purpose=purpose, statements=statements
        ),
        f"{FOLDER}/{number}_{name}.down.sql": WAY_BACK.format(
            **given, statements=way_back
        ),
        f"{FOLDER}/versions/{number}_{name}.py": VERSION.format(
            **given, purpose=purpose[0].upper() + purpose[1:]
        ),
    }
