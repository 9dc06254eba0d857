-- Keys that are columns of the same name.
{{ config(meta={"exact": {
    "keys": ["customer_id"], "inputs": {"stg_customers": {}},
}}) }}

select
    customer_id,
    coalesce(region, 'none') as region
from {{ ref("stg_customers") }}
