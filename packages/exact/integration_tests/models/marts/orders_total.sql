-- No keys: any change computes it in full, and only rows that differ are written.
select
    status,
    count(*) as orders
from {{ ref("stg_orders") }}
group by status
