{#-
    For a query of scopes: the keys in `changes` that came, went, or have another value
    than before. The input must be a model: its log tells a row that is new from one
    that is as it was, where a source that writes a row again shows but the row.
-#}
{% macro keys_of_other_value(key, value) -%}
select {{ key }} from changes
group by {{ key }}
having count(distinct {{ value }}) > 1
    or count({{ value }}) not in (0, count(*))
    or sum(sign) != 0
{%- endmacro %}
