{#- The remedies that messages of the package exact name in this project. -#}
{% macro default__how_to(action) -%}
    {{ return({
        "build": "make build",
        "capture": "saas capture %1$s",
        "add": "saas capture %1$s %2$s",
        "make the sources": "run `saas migrate` first, or name their "
            ~ "schema with DB_SCHEMA",
        "name a source": "give it its name back, or name it as it is now in "
            ~ "models/staging/_sources.yml, and run `saas capture` and "
            ~ "`dbt run`",
        "open the sources": "its owner opens it with `saas roles`",
    }[action]) }}
{%- endmacro %}
