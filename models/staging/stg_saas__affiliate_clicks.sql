with source as (
    select * from {{ source("saas", "affiliate_clicks") }}
),

renamed as (
    select
        id as click_id,
        affiliate_id,
        referral_id,
        utm_campaign,
        converted as is_converted,
        clicked_at
    from source
)

select * from renamed
