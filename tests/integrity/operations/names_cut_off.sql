-- depends_on: {{ ref("fct_audit_daily") }}
-- The columns that staging passes to name_of(), and the kind of each.
{%- set limits = name_limits() %}
{%- set name, link = limits.name, limits.link %}
{{ names_cut_off({
    "users": {"role": name},
    "licenses": {"plan_type": name, "status": name},
    "team_members": {"role": name},
    "subscriptions": {
        "status": name, "plan_type": name, "billing_cycle": name, "currency": name
    },
    "payment_transactions": {"status": name, "payment_method": name, "currency": name},
    "affiliates": {"status": name},
    "affiliate_clicks": {"utm_campaign": link},
    "affiliate_referrals": {"status": name, "utm_campaign": link},
    "affiliate_commissions": {"commission_type": name, "status": name, "currency": name},
    "affiliate_payouts": {"status": name, "payment_method": name, "currency": name},
    "usage_events": {"event_type": name, "event_category": name, "event_name": name},
    "api_usage": {"endpoint": link, "method": name},
    "error_logs": {
        "error_type": name, "severity": name, "source": name,
        "endpoint": link, "method": name
    },
    "audit_logs": {"action": name, "resource_type": name, "status": name},
}) }}
