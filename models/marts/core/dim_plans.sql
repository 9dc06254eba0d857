-- One row per plan, in the order of its rank.
select
    plan_type,
    plan_name,
    plan_rank,
    is_paid
from {{ ref("plans") }}
