-- depends_on: {{ ref("fct_affiliate_earnings_monthly") }}
-- depends_on: {{ ref("fct_affiliate_funnel_daily") }}
{{ implausible_times(
    "affiliates", ["approved_at", "suspended_at", "created_at"]
) }}
union all
{{ implausible_times("affiliate_clicks", ["clicked_at"]) }}
union all
{{ implausible_times(
    "affiliate_referrals", ["qualified_at", "converted_at", "created_at"]
) }}
union all
{{ implausible_times(
    "affiliate_commissions", ["approved_at", "paid_at", "created_at"]
) }}
union all
{{ implausible_times(
    "affiliate_payouts", ["processed_at", "completed_at", "created_at"]
) }}
