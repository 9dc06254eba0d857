-- depends_on: {{ ref("fct_user_retention_monthly") }}
-- depends_on: {{ ref("fct_feature_adoption_monthly") }}
{{ implausible_times(
    "users", ["email_verified_at", "last_login_at", "created_at"]
) }}
union all
{{ implausible_times(
    "licenses", ["started_at", "cancelled_at", "created_at"],
    ends=["trial_ends_at", "expires_at"]
) }}
union all
{{ implausible_times("teams", ["created_at"]) }}
union all
{{ implausible_times("team_members", ["joined_at", "created_at"]) }}
