{#-
    A query of the times of a source table that are not plausible (plausible_time),
    which the marts omit, and of times in 1970, the year of a zero or of an unset clock.
    Of `ends` it returns only times before 1971: a distant end means "never", and the
    marts read it so. If `created_at` is given, it limits the time of an event.
-#}
{% macro implausible_times(table, columns, ends=[], created_at=none) -%}
    {%- for column in columns + ends %}
    select
        id as row_id,
        '{{ table }}' as source_table,
        '{{ column }}' as column_name,
        case
            when {{ column }} < cast('1970-01-01 00:00:00+00' as timestamptz)
                then 'before_1970'
            when {{ column }} < cast('1971-01-01 00:00:00+00' as timestamptz)
                then 'in_1970'
            when {{ column }} >= cast('2100-01-01 00:00:00+00' as timestamptz)
                then 'after_2099'
            else 'days_after_it_was_written'
        end as reason,
        cast({{ column }} as text) as moment
    from {{ source("saas", table) }}
    where
        {{ column }} < cast('1971-01-01 00:00:00+00' as timestamptz)
        {%- if column not in ends %}
        or (
            {{ column }} is not null
            and {{ saas_analytics.plausible_time(column, created_at) }} is null
        )
        {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
{%- endmacro %}
