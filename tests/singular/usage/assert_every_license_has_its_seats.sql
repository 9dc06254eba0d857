-- The mart has every license, with the seats that the application counts. One row per
-- license that is missing or differs. The next run checks licenses that changed since
-- this run began.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
    where updated_at < {{ run_start() }}
),

seats as (
    select * from {{ ref("fct_license_seats") }}
)

select
    licenses.license_id,
    licenses.seats_total as seats_total_in_source,
    seats.seats_total as seats_total_in_mart,
    licenses.seats_used as seats_used_in_source,
    seats.seats_used as seats_used_in_mart
from licenses
left join seats on licenses.license_id = seats.license_id
where
    seats.license_id is null
    or licenses.seats_total != seats.seats_total
    or licenses.seats_used != seats.seats_used
    or licenses.plan_type != seats.plan_type
    or licenses.status != seats.status
