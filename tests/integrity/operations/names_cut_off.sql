-- depends_on: {{ ref("fct_audit_daily") }}
-- The columns that staging passes to name_of(), and the characters that it counts.
{{ names_cut_off({
    "users": {"role": 200},
    "licenses": {"plan_type": 200, "status": 200},
    "team_members": {"role": 200},
    "subscriptions": {
        "status": 200, "plan_type": 200, "billing_cycle": 200, "currency": 200
    },
    "payment_transactions": {"status": 200, "payment_method": 200, "currency": 200},
    "affiliates": {"status": 200},
    "affiliate_clicks": {"utm_campaign": 256},
    "affiliate_referrals": {"status": 200, "utm_campaign": 256},
    "affiliate_commissions": {"commission_type": 200, "status": 200, "currency": 200},
    "affiliate_payouts": {"status": 200, "payment_method": 200, "currency": 200},
    "usage_events": {"event_type": 200, "event_category": 200, "event_name": 200},
    "api_usage": {"endpoint": 256, "method": 200},
    "error_logs": {
        "error_type": 200, "severity": 200, "source": 200,
        "endpoint": 256, "method": 200
    },
    "audit_logs": {"action": 200, "resource_type": 200, "status": 200},
}) }}
