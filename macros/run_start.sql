{#-
    The instant at which this run began (timestamptz), independent of `as_of`. A test
    that compares a mart with live source rows ignores rows written since then, which
    the mart can't contain. It does not cover a transaction that began before the run
    and committed after the mart was built.
-#}
{% macro run_start() -%}
    {{ return(adapter.dispatch("run_start", "saas_analytics")()) }}
{%- endmacro %}

{% macro default__run_start() -%}
    cast('{{ run_started_at.isoformat() }}' as timestamptz)
{%- endmacro %}
