{#-
    The state of the engine: which models it keeps, what each has seen of its inputs,
    and what its runs did.
-#}
{% macro _engine_state(schema) %}

create table if not exists {{ schema }}.models (
    model text primary key,
    relation text not null,
    log text not null,
    definition text not null,
    -- Null after an upgrade: the next build compares the select alone.
    definition_hash text,
    columns text[] not null,
    key_columns text[] not null,
    checks jsonb not null,
    inputs jsonb not null,
    clock text not null check (clock in ('none', 'day', 'moment')),
    today text not null,
    zone text not null,
    -- The present of its select: "now", an instant, or nothing where it has none.
    as_of text not null,
    is_logged boolean not null,
    is_stale boolean not null default false,
    generation text not null default pg_current_xact_id()::text,
    day date,
    method text,
    refreshed_at timestamptz
);

comment on table {{ schema }}.models is
'One row per model that is kept exact: its select, its keys and what it has seen.';

create table if not exists {{ schema }}.inputs (
    model text not null references {{ schema }}.models on delete cascade,
    name text not null,
    seen pg_snapshot not null,
    seen_xid xid8 not null,
    identity jsonb not null,
    primary key (model, name)
);

comment on table {{ schema }}.inputs is
'One row per input of a model: the snapshot and the form in which it was last read.';

create table if not exists {{ schema }}.runs (
    model text not null,
    method text not null,
    key_count bigint,
    rows_removed bigint not null,
    rows_added bigint not null,
    failed_checks text[] not null default '{}',
    milliseconds numeric not null,
    refreshed_at timestamptz not null default now()
);

-- Where a publication includes all tables, rows of one without it can't be deleted.
alter table {{ schema }}.runs replica identity full;

comment on table {{ schema }}.runs is
'One row per refresh of the last 30 days that looked further than "nothing changed".';

create index if not exists runs_model_idx on {{ schema }}.runs (model, refreshed_at);


create table if not exists {{ schema }}.unbuilt (model text primary key);

comment on table {{ schema }}.unbuilt is
'One row per model that a former version kept and this one has not built yet.';


-- The version of the package.
create or replace function {{ schema }}.version() returns text
language sql immutable
as $$ select '{{ exact._package_version() }}' $$;


-- Names as a list of columns.
create or replace function {{ schema }}._column_list(names text[]) returns text
language sql immutable
as $$
    select string_agg(format('%I', name), ', ' order by position)
    from unnest(names) with ordinality as columns (name, position)
$$;
{% endmacro %}
