{#-
    The instant at which this run began (timestamptz), whatever `as_of` says. A test
    that compares a mart with live source rows leaves out what was written since: the
    mart can't have seen it. Not covered: a transaction that began earlier than the run
    and was committed after the mart was built.
-#}
{% macro run_start() -%}
    {{ return(adapter.dispatch("run_start", "saas_analytics")()) }}
{%- endmacro %}

{% macro default__run_start() -%}
    cast('{{ run_started_at.isoformat() }}' as timestamptz)
{%- endmacro %}
