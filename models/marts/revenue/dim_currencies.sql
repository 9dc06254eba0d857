-- One row per currency: how amounts in minor units read in it.
select
    currency,
    currency_name,
    minor_digits,
    is_in_use,
    cast(power(10, minor_digits) as integer) as minor_units_per_unit
from {{ ref("currencies") }}
