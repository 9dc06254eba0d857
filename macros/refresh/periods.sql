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


-- Fails where the last builds left models of several zones, or of several presents, as
-- one that was stopped or failed halfway: they would disagree about what a day is, or
-- which is the last one.
create or replace function {{ schema }}.refuse_mixed_builds() returns void
language plpgsql stable
as $$
declare
    zones constant text[] := array(
        select distinct zone from {{ schema }}.models order by zone
    );
    presents constant text[] := array(
        select distinct as_of from {{ schema }}.models where as_of != '' order by as_of
    );
begin
    if cardinality(zones) > 1 then
        raise exception 'the marts are in %', array_to_string(zones, ' and ')
            using hint = 'build all of them in one zone, with `make build`';
    end if;
    if cardinality(presents) > 1 then
        raise exception 'the marts are as of %', array_to_string(presents, ' and ')
            using hint = 'build all of them as of one time, with `make build`';
    end if;
end;
$$;
{% endmacro %}


{#-
    The present of this run as text: the instant of as_of, or "now", which moves. YAML
    gives a time without quotes another form.
-#}
{% macro refresh_as_of() -%}
    {%- if not var("as_of", none) -%}
        {{ return("now") }}
    {%- endif -%}
    {{ return(
        saas_analytics.reporting_now_iso() | replace(" ", "T") | replace("+00:00", "Z")
    ) }}
{%- endmacro %}


{#-
    Stops a run that would leave marts of two zones or of two presents, or tests those
    of another one: what it doesn't build must be as this run builds it already. The
    names are those of all models of the project, quoted. Stops as well at a zone that
    the server doesn't know, which PostgreSQL would say only where it is first used.
-#}
{% macro refuse_other_builds(names) -%}
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
    {%- set installed = run_query(
        "select attname from pg_attribute where attrelid = to_regclass('" ~ schema
        ~ ".models') and attname in ('zone', 'as_of')"
    ).columns[0].values() -%}
    {%- set is_test = flags.WHICH == "test" -%}
    {%- set reads = namespace(marts=not is_test) -%}
    {%- for unique_id in selected_resources if unique_id.startswith("test.") -%}
        {%- set reads.marts = true -%}
    {%- endfor -%}
    {%- set built = [] -%}
    {%- for node in graph.nodes.values() if not is_test
        and node.config.materialized == "exact"
        and node.unique_id in selected_resources -%}
        {%- do built.append("'" ~ node.alias ~ "'") -%}
    {%- endfor -%}
    {%- for column, value, word in [
        ("zone", zone, "in"), ("as_of", saas_analytics.refresh_as_of(), "as of")
    ] if reads.marts and column in installed -%}
        {%- set left_out = run_query(
            "select string_agg(distinct " ~ column ~ ", ' and ' order by " ~ column
            ~ "), count(*), count(*) filter (where model != all (array["
            ~ built | join(", ") ~ "]::text[]) and " ~ column ~ " != '" ~ value
            ~ "') from " ~ schema ~ ".models where " ~ column ~ " != '' and model "
            ~ "= any (array[" ~ names | join(", ") ~ "]::text[])"
        ).rows[0] -%}
        {%- if left_out[2] -%}
            {%- set theirs = left_out[0] -%}
            {%- set name = "as_of" if column == "as_of" else "reporting_timezone" -%}
            {%- do exceptions.raise_compiler_error(
                "The marts are " ~ word ~ " " ~ theirs ~ ", and this run " ~ word ~ " "
                ~ value ~ (
                    " would test them" if is_test
                    else " leaves " ~ left_out[2] ~ " of " ~ left_out[1]
                    ~ " models as they are"
                ) ~ ": build all models " ~ (
                    "as of one time" if column == "as_of" else "in one zone"
                ) ~ ", as `make build` does" ~ ("." if " and " in theirs
                    else ", or leave as_of out." if theirs == "now"
                    else ", or set " ~ name ~ " to " ~ theirs ~ ".")
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
