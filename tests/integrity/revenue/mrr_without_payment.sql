-- depends_on: {{ ref("fct_mrr_monthly") }}
{{ config(group="revenue") }}

-- A payment covers its period and one month more, in which the next may be late;
-- several of one day cover as many periods. A trial, and the first period of a license
-- that has paid before, need no payment. A gap that a later payment ended is named from
-- a week on, if a month's end is in it. Measured to the last change of a payment or a
-- subscription, not to today: the freshness of the source reports an import that has
-- stopped.
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
),

received as (
    select
        subscription_id,
        least(processed_at, created_at) + interval '1 day' as paid_at,
        refunded_amount_cents < amount_cents as is_kept
    from {{ ref("stg_saas__payment_transactions") }}
    where status in ('succeeded', 'refunded')
),

payments as (
    select * from received
    where is_kept
),

paid_through as (
    select * from {{ ref("int_paid_through__by_subscription") }}
),

spans as (
    select * from {{ ref("int_mrr__by_subscription") }}
),

changes as (
    select created_at as changed_at from {{ ref("stg_saas__payment_transactions") }}
    union all
    select updated_at as changed_at from {{ ref("stg_saas__subscriptions") }}
),

last_change as (
    select max(changed_at) as changed_at from changes
    where changed_at <= {{ reporting_now() }}
),

terms as (
    select
        subscriptions.*,
        paid_through.starts_at,
        paid_through.first_period_ends_at,
        paid_through.paid_through_at,
        case when subscriptions.billing_cycle = 'yearly' then 12 else 1 end
            as cycle_months,
        min(paid_through.first_paid_at) over (partition by subscriptions.license_id)
            as license_first_paid_at
    from subscriptions
    inner join paid_through
        on subscriptions.subscription_id = paid_through.subscription_id
),

paying_licenses as (
    select distinct subscriptions.license_id
    from received
    inner join subscriptions
        on received.subscription_id = subscriptions.subscription_id
),

-- A boundary of the period that is paid, and for how many.
paid_periods as (
    select
        terms.license_id,
        terms.cycle_months,
        {{ add_utc_months("terms.paid_through_at", (
            "-terms.cycle_months * cast(floor(cast("
            ~ utc_months_between("payments.paid_at", "terms.paid_through_at")
            ~ " as numeric) / terms.cycle_months) as integer)"
        )) }} as boundary_at,
        max(payments.paid_at) as paid_at,
        count(*) as periods
    from payments
    inner join terms on payments.subscription_id = terms.subscription_id
    group by
        terms.license_id,
        terms.cycle_months,
        boundary_at,
        cast(payments.paid_at at time zone 'UTC' as date)
),

covered as (
    select
        license_id,
        {{ add_utc_months("boundary_at", (
            "-cycle_months * (cast(periods as integer) "
            ~ "- case when boundary_at > paid_at then 0 else 1 end)"
        )) }} as covered_from,
        {{ add_utc_months("boundary_at", (
            "1 + case when boundary_at > paid_at then 0 else cycle_months end"
        )) }} as covered_until
    from paid_periods
    union all
    select
        license_id,
        starts_at as covered_from,
        {{ add_utc_months(
            "case when license_first_paid_at < created_at then first_period_ends_at "
            "else starts_at end", "1"
        ) }} as covered_until
    from terms
    union all
    select
        license_id,
        trial_start_at as covered_from,
        {{ add_utc_months("trial_end_at", "1") }} as covered_until
    from terms
    where trial_start_at < trial_end_at
),

gaps as (
    select
        covered.license_id,
        max(covered.covered_until) over (
            partition by covered.license_id
            order by covered.covered_from
            rows between unbounded preceding and current row
        ) as gap_from,
        coalesce(lead(covered.covered_from) over (
            partition by covered.license_id order by covered.covered_from
        ), last_change.changed_at) as gap_until
    from covered
    cross join last_change
),

unpaid as (
    select
        spans.subscription_id,
        spans.license_id,
        greatest(gaps.gap_from, spans.mrr_starts_at) as unpaid_from,
        least(gaps.gap_until, spans.mrr_ends_at, last_change.changed_at)
            as unpaid_until,
        last_change.changed_at
    from spans
    inner join gaps on spans.license_id = gaps.license_id
    cross join last_change
)

select
    unpaid.subscription_id,
    unpaid.license_id,
    'subscription_is_' || terms.status as reason,
    terms.currency,
    terms.amount_cents,
    terms.paid_through_at,
    unpaid.unpaid_from,
    unpaid.unpaid_until
from unpaid
inner join terms on unpaid.subscription_id = terms.subscription_id
left join paying_licenses on unpaid.license_id = paying_licenses.license_id
where
    unpaid.unpaid_from < unpaid.unpaid_until
    and (
        unpaid.unpaid_until = unpaid.changed_at
        or (
            unpaid.unpaid_from + interval '7 days' < unpaid.unpaid_until
            and {{ reporting_month("unpaid.unpaid_from") }}
            < {{ reporting_month("unpaid.unpaid_until") }}
        )
    )
    -- Else subscriptions_never_paid names it.
    and (
        paying_licenses.license_id is not null
        or terms.status not in ('active', 'past_due')
    )
