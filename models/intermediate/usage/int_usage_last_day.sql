{{ config(access="protected") }}

-- One row: the day of the last event of all, null before the first. Apart, because most
-- of what happens doesn't move it: who depends on it alone has nothing to do then.
-- Without a CTE, an index answers it.
select max(usage_date) as usage_date from {{ ref("fct_usage_daily") }}
