{#-
    The calendar of the marts: one zone for days, weeks and months, and one instant for
    "now". Variables of dbt decide both: `reporting_timezone` and `as_of`. The session's
    TimeZone plays no part.
-#}


{#-
    The zone of the calendar: UTC or a place of the IANA database, such as
    Europe/Berlin. PostgreSQL accepts other names that mislead: UTC+3 is west of
    Greenwich, IST is Israel, EST never has summer time, and europe/berlin would be a
    second name of the same zone.
-#}
{% macro timezone() -%}
    {%- set zone = var("reporting_timezone", "UTC") | string -%}
    {%- set regions = "Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe"
        ~ "|Indian|Pacific" -%}
    {%- set shape = "^(UTC|(" ~ regions ~ ")(/[A-Z][A-Za-z_-]+)+)$" -%}
    {%- if not modules.re.match(shape, zone) -%}
        {%- do exceptions.raise_compiler_error(
            "The variable reporting_timezone must be UTC or the IANA name of a place, "
            ~ "such as Europe/Berlin, not '" ~ zone ~ "'."
        ) -%}
    {%- endif -%}
    {{ return(zone) }}
{%- endmacro %}


{#-
    The local time (timestamp without zone) at a timestamp. To ask whether something was
    before or after the start of a day, compare this with the date. No macro turns a
    date into an instant: clocks show some local times twice and some never.

    PostgreSQL may compute it for a row that a filter is about to leave out, and other
    zones push the last hours of the year 294276 out of its range: so it is null there.
    In UTC the bare expression is that of the indexes on days.
-#}
{% macro local_time(timestamp_column) -%}
    {{ return(adapter.dispatch("local_time", "exact")(timestamp_column)) }}
{%- endmacro %}

{% macro default__local_time(timestamp_column) -%}
    {%- set zone = "'" ~ exact.timezone() ~ "'" -%}
    {%- if exact.timezone() == "UTC" -%}
    ({{ timestamp_column }} at time zone {{ zone }})
    {%- else -%}
    case
        when
            {{ timestamp_column }} >= cast('0001-01-01 00:00:00+00' as timestamptz)
            and {{ timestamp_column }} < cast('9999-12-31 00:00:00+00' as timestamptz)
            then {{ timestamp_column }} at time zone {{ zone }}
    end
    {%- endif -%}
{%- endmacro %}


{#- The calendar day (date) of a timestamp. -#}
{% macro day_of(timestamp_column) -%}
    {{ return(adapter.dispatch("day_of", "exact")(timestamp_column)) }}
{%- endmacro %}

{% macro default__day_of(timestamp_column) -%}
    cast({{ exact.local_time(timestamp_column) }} as date)
{%- endmacro %}


{#- The Monday (date) of a timestamp's week. -#}
{% macro week_of(timestamp_column) -%}
    {{ return(adapter.dispatch("week_of", "exact")(timestamp_column)) }}
{%- endmacro %}

{% macro default__week_of(timestamp_column) -%}
    cast(
        date_trunc('week', {{ exact.local_time(timestamp_column) }})
        as date
    )
{%- endmacro %}


{#- The first day (date) of a timestamp's month. -#}
{% macro month_of(timestamp_column) -%}
    {{ return(adapter.dispatch("month_of", "exact")(timestamp_column)) }}
{%- endmacro %}

{% macro default__month_of(timestamp_column) -%}
    cast(
        date_trunc('month', {{ exact.local_time(timestamp_column) }})
        as date
    )
{%- endmacro %}


{#- Whether a timestamp is a point in time, and not infinite. -#}
{% macro is_finite(timestamp_column) -%}
    {{ return(adapter.dispatch("is_finite", "exact")(timestamp_column)) }}
{%- endmacro %}

{% macro default__is_finite(timestamp_column) -%}
    (
        {{ timestamp_column }} > cast('-infinity' as timestamptz)
        and {{ timestamp_column }} < cast('infinity' as timestamptz)
    )
{%- endmacro %}


{#-
    The instant that counts as "now" (timestamptz): the variable `as_of`, or the start
    of the run, so that all models and tests of one run agree. An `as_of` without an
    offset is UTC.
-#}
{% macro now() -%}
    {{ return(adapter.dispatch("now", "exact")()) }}
{%- endmacro %}

{% macro default__now() -%}
    cast('{{ exact.now_iso() }}' as timestamptz)
{%- endmacro %}


{#- The same instant as ISO text with its offset. Refuses another form of `as_of`. -#}
{% macro now_iso() -%}
    {%- set as_of = var("as_of", none) -%}
    {%- if as_of is none or as_of == "" -%}
        {%- set moment = run_started_at.isoformat() -%}
    {%- else -%}
        {%- set text = as_of | string | trim -%}
        {%- set offset = "(Z|[+-]\\d{2}(:?\\d{2})?)" -%}
        {%- set time = "\\d{2}:\\d{2}(:\\d{2}(\\.\\d{1,6})?)?" ~ offset ~ "?" -%}
        {%- set shape = "^\\d{4}-\\d{2}-\\d{2}([T ]" ~ time ~ ")?$" -%}
        {%- if not modules.re.match(shape, text) -%}
            {%- do exceptions.raise_compiler_error(
                "The variable as_of must be an ISO 8601 timestamp such as "
                ~ "2026-03-31T23:59:59Z, not '" ~ text ~ "'."
            ) -%}
        {%- endif -%}
        {%- set has_offset = modules.re.search("[:.]\\d+" ~ offset ~ "$", text) -%}
        {%- if has_offset -%}
            {%- set moment = text -%}
        {%- elif text | length == 10 -%}
            {%- set moment = text ~ "T00:00:00Z" -%}
        {%- else -%}
            {%- set moment = text ~ "Z" -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(moment) }}
{%- endmacro %}
