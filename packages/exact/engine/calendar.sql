{#-
    Days and months of the reporting zone as spans of instants. The local date of a row
    alone decides its day. Where clocks go back over midnight, a local time names two
    instants. Where they go forward, it names none. A local day may be several spans, so
    the bounds below only limit the search.
-#}
{% macro _engine_calendar(schema) %}
{%- set build = exact.how_to("build") -%}

-- The instants between which a zone's clocks can show a day from first_date up to, but
-- without, next_date. With is_exact, every instant between them is of these days. Else
-- the caller compares the local date too, and reads at most a day of rows more.
--
-- No zone is 16 hours from UTC, so the offsets around the two dates are all that
-- matter. No offset lasts less than an hour.
create or replace function {{ schema }}._local_bounds(
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


-- Fails where models are of several zones or of several presents, after a build that
-- stopped halfway. They disagree about what a day is, or about which day is the last.
create or replace function {{ schema }}._refuse_mixed_builds() returns void
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
            using hint = 'build all of them in one zone, with `{{ build }}`';
    end if;
    if cardinality(presents) > 1 then
        raise exception 'the marts are as of %', array_to_string(presents, ' and ')
            using hint = 'build all of them as of one time, with `{{ build }}`';
    end if;
end;
$$;
{% endmacro %}
