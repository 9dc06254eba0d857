-- depends_on: {{ ref("fct_mrr_monthly") }}
-- It omits unpaid ones, because a returning customer may start a new one. It also omits
-- those with an agreed end, free plans, and trials of another plan, which may be
-- deliberate.
with live as (
    select * from {{ ref("stg_saas__subscriptions") }}
    where
        status in ('active', 'past_due', 'trialing')
        and not is_canceled_at_period_end
        and amount_cents > 0
),

others as (
    select * from live
)

select
    live.license_id,
    live.subscription_id,
    others.subscription_id as other_subscription_id,
    'beside_' || others.status as reason,
    live.status,
    live.currency,
    live.amount_cents,
    others.currency as other_currency,
    others.amount_cents as other_amount_cents,
    live.created_at,
    others.created_at as other_created_at
from live
inner join others
    on
        live.license_id = others.license_id
        and live.subscription_id != others.subscription_id
where
    (
        live.created_at > others.created_at
        or (
            live.created_at = others.created_at
            and live.subscription_id > others.subscription_id
        )
    )
    and (
        'trialing' not in (live.status, others.status)
        or live.plan_type = others.plan_type
    )
