{#-
    Every currency is in the seed `currencies` (ISO 4217). One row per unknown currency.
-#}
{% test known_currency(model, column_name) %}
select
    amounts.{{ column_name }},
    count(*) as rows_of_currency
from {{ model }} as amounts
left join {{ ref("currencies") }} as currencies
    on amounts.{{ column_name }} = currencies.currency
where currencies.currency is null
group by amounts.{{ column_name }}
{% endtest %}
