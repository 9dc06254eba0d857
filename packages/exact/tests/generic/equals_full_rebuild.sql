{#-
    Passes if an exact model equals what its select gives now: it returns one row with
    the number of rows that differ.
-#}
{% test equals_full_rebuild(model) %}
    {{ config(store_failures=false) }}
    select differing_rows
    from (
        select {{ exact.engine_schema() }}.verify('{{ model.identifier }}')
            as differing_rows
    ) as compared
    where differing_rows > 0
{% endtest %}
