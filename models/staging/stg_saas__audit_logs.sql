with source as (
    select * from {{ source("saas", "audit_logs") }}
),

renamed as (
    select
        id as audit_log_id,
        user_id,
        team_id,
        action,
        resource_type,
        status,
        occurred_at,
        created_at
    from source
    where {{ is_finite("occurred_at") }}
)

select * from renamed
