{#-
    An expression of the statement that recreates an application's aggregate of a day or
    a month. `period_type` is day or month, `period_start` a date column.
-#}
{% macro aggregation_statement(period_type, period_start) -%}
    {{ return(adapter.dispatch("aggregation_statement", "saas_analytics")(
        period_type, period_start
    )) }}
{%- endmacro %}

{% macro default__aggregation_statement(period_type, period_start) -%}
    {%- set schema = adapter.quote(source("saas", "usage_aggregate_runs").schema) -%}
    {%- set call = "select " ~ (schema | replace("'", "''")) ~ ".aggregate_" -%}
    {%- if period_type == "day" -%}
        '{{ call }}daily_usage(''' || {{ period_start }} || ''')'
    {%- else -%}
        '{{ call }}monthly_usage(' || extract(year from {{ period_start }}) || ', '
        || extract(month from {{ period_start }}) || ')'
    {%- endif -%}
{%- endmacro %}


{#-
    Prints, at the end of a run, the statements that fix the findings of failed tests. A
    test with such statements has a column `fix`, and `has_fixes` in its meta.
-#}
{% macro print_fixes(results) -%}
    {{ return(adapter.dispatch("print_fixes", "saas_analytics")(results)) }}
{%- endmacro %}

{% macro default__print_fixes(results) -%}
    {%- for result in results
        if execute
        and result.status in ("fail", "warn")
        and result.node.config.get("meta", {}).get("has_fixes")
        and result.node.relation_name
    -%}
        {%- set statements = run_query(
            "select distinct fix from " ~ result.node.relation_name ~ " order by fix"
        ).columns[0].values() -%}
        {%- set more = statements | length - 10 -%}
        {%- do log(result.node.name ~ " failed. To fix it, run:", info=true) -%}
        {%- for statement in statements[:10] -%}
            {%- do log("    " ~ statement ~ ";", info=true) -%}
        {%- endfor -%}
        {%- if more > 0 -%}
            {%- do log(
                "    and " ~ more ~ " more: select distinct fix from "
                ~ result.node.relation_name,
                info=true
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
