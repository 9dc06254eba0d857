{#-
    Time. Every calendar day, month and "now" of the project comes from here. The zone
    and the present are those of the package `exact`, which keeps the marts.
-#}


{#- The local time (timestamp without zone) in the reporting zone at a timestamp. -#}
{% macro reporting_time(timestamp_column) -%}
    {{ return(exact.local_time(timestamp_column)) }}
{%- endmacro %}


{#- The calendar day (date) of a timestamp in the reporting zone. -#}
{% macro reporting_date(timestamp_column) -%}
    {{ return(exact.day_of(timestamp_column)) }}
{%- endmacro %}


{#- The first day (date) of a timestamp's month in the reporting zone. -#}
{% macro reporting_month(timestamp_column) -%}
    {{ return(exact.month_of(timestamp_column)) }}
{%- endmacro %}


{#-
    The instant that counts as "now" (timestamptz): the variable `as_of`, or the start
    of the run.
-#}
{% macro reporting_now() -%}
    {{ return(exact.now()) }}
{%- endmacro %}


{#- The first day (date) of a date's month. -#}
{% macro month_start_of(date) -%}
    {{ return(adapter.dispatch("month_start_of", "saas_analytics")(date)) }}
{%- endmacro %}

{% macro default__month_start_of(date) -%}
    cast(date_trunc('month', cast({{ date }} as timestamp)) as date)
{%- endmacro %}


{#- A date moved by a whole number of days; the number may be an expression. -#}
{% macro add_days(date, number_of_days) -%}
    {{ return(adapter.dispatch("add_days", "saas_analytics")(date, number_of_days)) }}
{%- endmacro %}

{% macro default__add_days(date, number_of_days) -%}
    ({{ date }} + cast({{ number_of_days }} as integer))
{%- endmacro %}


{#-
    A date moved by a whole number of months; the number may be an expression. A day
    that the month lacks becomes its last one (31 January and one month: 28 February).
-#}
{% macro add_months(date, number_of_months) -%}
    {{ return(
        adapter.dispatch("add_months", "saas_analytics")(date, number_of_months)
    ) }}
{%- endmacro %}

{% macro default__add_months(date, number_of_months) -%}
    cast({{ date }} + ({{ number_of_months }}) * interval '1 month' as date)
{%- endmacro %}


{#-
    Whole months (integer) from one first-of-month to another; negative when it is
    earlier.
-#}
{% macro months_between(from_month, to_month) -%}
    {{ return(
        adapter.dispatch("months_between", "saas_analytics")(from_month, to_month)
    ) }}
{%- endmacro %}

{% macro default__months_between(from_month, to_month) -%}
    cast(
        (extract(year from {{ to_month }}) - extract(year from {{ from_month }})) * 12
        + extract(month from {{ to_month }}) - extract(month from {{ from_month }})
        as integer
    )
{%- endmacro %}


{#- Days (integer) from one date to another; negative when it is earlier. -#}
{% macro days_between(from_date, to_date) -%}
    {{ return(adapter.dispatch("days_between", "saas_analytics")(from_date, to_date)) }}
{%- endmacro %}

{% macro default__days_between(from_date, to_date) -%}
    ({{ to_date }} - {{ from_date }})
{%- endmacro %}


{#-
    The time if it is plausible, else null. It must be from 1970 to before 2100 (UTC).
    If `created_at` is given, it must be at most 24 hours later. The values of the
    row decide, never the clock: a row does not become plausible as days pass. A missing
    `created_at` sets no limit: before-images of earlier versions lack it.

    Staging applies this rule to every time: no model after it meets a time of another
    century or an infinite one. The nested CASE keeps the subtraction to times that it
    can't push out of range. As `... is not null` it is a filter that the planner takes
    for nearly always true.
-#}
{% macro plausible_time(timestamp_column, created_at=none) -%}
    {{ return(
        adapter.dispatch("plausible_time", "saas_analytics")(
            timestamp_column, created_at
        )
    ) }}
{%- endmacro %}

{% macro default__plausible_time(timestamp_column, created_at) -%}
    case
        when
            {{ timestamp_column }} >= cast('1970-01-01 00:00:00+00' as timestamptz)
            and {{ timestamp_column }} < cast('2100-01-01 00:00:00+00' as timestamptz)
            then
            {%- if created_at is none %} {{ timestamp_column }}
            {%- else %}
                case
                    when {{ created_at }} < {{ timestamp_column }} - interval '24 hours'
                        then null
                    else {{ timestamp_column }}
                end
            {%- endif %}
    end
{%- endmacro %}


{#-
    The end of a spine; an infinite one becomes null, for a series from it never ends.
-#}
{% macro finite_moment(date) -%}
    nullif(nullif(cast({{ date }} as timestamp), 'infinity'), '-infinity')
{%- endmacro %}


{#- The ISO day of the week of a date: 1 for Monday to 7 for Sunday (integer). -#}
{% macro iso_day_of_week(date) -%}
    {{ return(adapter.dispatch("iso_day_of_week", "saas_analytics")(date)) }}
{%- endmacro %}

{% macro default__iso_day_of_week(date) -%}
    cast(extract(isodow from {{ date }}) as integer)
{%- endmacro %}


{#-
    A row source of every day from the first to the last, both included, as the column
    `date_day`. The ends are dates or scalar subqueries; no rows when one of them is
    null or infinite.
        from {{ date_spine("(select min(usage_date) from x)", "current_date") }} as days
-#}
{% macro date_spine(first_date, last_date) -%}
    {{ return(
        adapter.dispatch("date_spine", "saas_analytics")(first_date, last_date)
    ) }}
{%- endmacro %}

{% macro default__date_spine(first_date, last_date) -%}
    (
        select cast(spine.moment as date) as date_day
        from generate_series(
            {{ saas_analytics.finite_moment(first_date) }},
            {{ saas_analytics.finite_moment(last_date) }},
            interval '1 day'
        ) as spine (moment)
    )
{%- endmacro %}


{#-
    A row source of the first day of every month from one date's month to another's,
    both included, as the column `date_month`. The ends are as for date_spine.
-#}
{% macro month_spine(first_date, last_date) -%}
    {{ return(
        adapter.dispatch("month_spine", "saas_analytics")(first_date, last_date)
    ) }}
{%- endmacro %}

{% macro default__month_spine(first_date, last_date) -%}
    (
        select cast(spine.moment as date) as date_month
        from generate_series(
            date_trunc('month', {{ saas_analytics.finite_moment(first_date) }}),
            date_trunc('month', {{ saas_analytics.finite_moment(last_date) }}),
            interval '1 month'
        ) as spine (moment)
    )
{%- endmacro %}
