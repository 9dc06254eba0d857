{#- What messages of the package exact tell a reader to do in this project. -#}
{% macro default__how_to(action) -%}
    {{ return({
        "build": "make build",
        "capture": "python -m bootstrap capture %1$s",
        "add": "python -m bootstrap capture %1$s %2$s",
        "make the sources": "run `python -m bootstrap migrate` first, or name their "
            ~ "schema with DB_SCHEMA",
        "name a source": "give it its name back, or name it as it is now in "
            ~ "models/staging/_sources.yml, and run `python -m bootstrap capture` and "
            ~ "`dbt run`",
        "open the sources": "its owner opens it with `python -m bootstrap roles`",
    }[action]) }}
{%- endmacro %}
