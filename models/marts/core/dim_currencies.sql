-- One row per currencywith its minor unit. Payment providers write some currencies in
-- other digits than ISO 4217, and the source has theirs.
with currencies as (
    select * from {{ ref("currencies") }}
),

currencies_of_provider as (
    select * from {{ ref("currencies_of_provider") }}
),

counted as (
    select
        currencies.currency,
        currencies.currency_name,
        currencies.is_in_use,
        currencies.minor_digits as iso_minor_digits,
        coalesce(currencies_of_provider.minor_digits, currencies.minor_digits)
            as minor_digits
    from currencies
    left join currencies_of_provider
        on currencies.currency = currencies_of_provider.currency
)

select
    currency,
    currency_name,
    minor_digits,
    is_in_use,
    cast(power(10, minor_digits) as integer) as minor_units_per_unit,
    iso_minor_digits
from counted
