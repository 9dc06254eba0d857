{#-
    Days and months of the reporting zone as spans of instants. A row belongs to a day
    by its local date alone. Where clocks go back over midnight a local time names two
    instants, where they go forward it names none, and a local day need not be one span.
    So the bounds below only say where to look.
-#}
{% macro refresh_periods(schema) %}

-- The instants between which a zone's clocks can show a day from the first date up to,
-- but without, the next one. is_exact: every instant between them is of these days;
-- else the caller compares the local date as well, and reads as much more as the
-- clocks were changed by, at most a day.
--
-- A zone is never 16 hours from UTC, so no other offset counts than those around the
-- two dates; none lasts less than an hour.
create or replace function {{ schema }}.local_bounds(
    first_date date, next_date date, zone text,
    out starts timestamptz, out ends timestamptz, out is_exact boolean
)
language sql stable
as $$
    select
        min(midnight - utc_offset) filter (where is_first) at time zone 'UTC',
        max(midnight - utc_offset) filter (where not is_first) at time zone 'UTC',
        count(distinct (midnight, utc_offset)) = 2
    from (
        values (first_date::timestamp, true), (next_date::timestamp, false)
    ) as midnights (midnight, is_first)
    cross join generate_series(-16, 16) as hours (number)
    cross join lateral (
        select (midnight + number * interval '1 hour') at time zone 'UTC' as instant
    ) as instants
    cross join lateral (
        select (instant at time zone zone) - (instant at time zone 'UTC') as utc_offset
    ) as offsets
$$;


-- Fails where the last builds left models of several zones, as one that was stopped or
-- failed halfway: they would disagree about what a day is.
create or replace function {{ schema }}.refuse_mixed_zones() returns void
language plpgsql stable
as $$
declare
    zones constant text[] := array(
        select distinct zone from {{ schema }}.models order by zone
    );
begin
    if cardinality(zones) > 1 then
        raise exception 'the marts are in %', array_to_string(zones, ' and ')
            using hint = 'build all of them in one zone, with `make build`';
    end if;
end;
$$;
{% endmacro %}


{#-
    Stops a run that would leave marts of two zones, or tests those of another zone:
    what it doesn't build must be in its zone already. The names are those of all models
    of the project, quoted. Stops as well at a zone that the server doesn't know, which
    PostgreSQL would say only where it is first used.
-#}
{% macro refuse_other_zones(names) -%}
    {%- set schema = saas_analytics.refresh_schema() -%}
    {%- set zone = saas_analytics.reporting_timezone() -%}
    {%- if zone != "UTC" and not run_query(
        "select exists (select from pg_timezone_names where name = '" ~ zone ~ "')"
    ).columns[0].values()[0] -%}
        {%- do exceptions.raise_compiler_error(
            "The variable reporting_timezone names " ~ zone ~ ", which this server "
            ~ "does not know: `select name from pg_timezone_names` lists those that "
            ~ "it does."
        ) -%}
    {%- endif -%}
    {%- set is_installed -%}
        select exists (
            select from pg_attribute
            where attrelid = to_regclass('{{ schema }}.models') and attname = 'zone'
        )
    {%- endset -%}
    {%- set is_test = flags.WHICH == "test" -%}
    {%- set reads = namespace(marts=not is_test) -%}
    {%- for unique_id in selected_resources if unique_id.startswith("test.") -%}
        {%- set reads.marts = true -%}
    {%- endfor -%}
    {%- if reads.marts and run_query(is_installed).columns[0].values()[0] -%}
        {%- set built = [] -%}
        {%- for node in graph.nodes.values() if not is_test
            and node.config.materialized == "exact"
            and node.unique_id in selected_resources -%}
            {%- do built.append("'" ~ node.alias ~ "'") -%}
        {%- endfor -%}
        {%- set left_out = run_query(
            "select string_agg(distinct zone, ' and ' order by zone), count(*), "
            ~ "count(*) filter (where model != all (array[" ~ built | join(", ")
            ~ "]::text[]) and zone != '" ~ zone ~ "') from " ~ schema ~ ".models "
            ~ "where model = any (array[" ~ names | join(", ") ~ "]::text[])"
        ).rows[0] -%}
        {%- if left_out[2] -%}
            {%- set theirs = left_out[0] -%}
            {%- do exceptions.raise_compiler_error(
                "The marts are in " ~ theirs ~ ", and this run in " ~ zone ~ (
                    " would test them" if is_test
                    else " leaves " ~ left_out[2] ~ " of " ~ left_out[1]
                    ~ " models as they are"
                ) ~ ": build all models in one zone, as `make build` does"
                ~ ("." if " and " in theirs
                    else ", or set reporting_timezone to " ~ theirs ~ ".")
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
