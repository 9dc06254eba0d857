-- depends_on: {{ ref("fct_mrr_monthly") }}
-- depends_on: {{ ref("fct_revenue_monthly") }}
{{ implausible_times(
    "subscriptions",
    ["current_period_start", "canceled_at", "trial_start", "created_at"],
    ends=["current_period_end", "trial_end"]
) }}
union all
{{ implausible_times("payment_transactions", ["processed_at", "created_at"]) }}
