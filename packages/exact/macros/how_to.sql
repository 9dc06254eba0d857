{#-
    The commands that messages of the package name. A project with other commands
    overrides default__how_to, by `dispatch` in its dbt_project.yml.

    In `capture` and `add`, %1$s is the name of the table and %4$s with its schema;
    %2$s are columns with blanks between them, %3$s with commas.
-#}
{% macro how_to(action) -%}
    {{ return(adapter.dispatch("how_to", "exact")(action)) }}
{%- endmacro %}

{% macro default__how_to(action) -%}
    {{ return({
        "build": "dbt build",
        "capture": "dbt run-operation exact.track --args ''{table: %4$s}''",
        "add": "dbt run-operation exact.track "
            ~ "--args ''{table: %4$s, columns: [%3$s]}''",
        "make the sources": "create them, or correct the source in YAML",
        "name a source": "give it its name back, or correct the source in YAML, and "
            ~ "run `dbt build`",
        "open the sources": "its owner grants what is missing",
    }[action]) }}
{%- endmacro %}
