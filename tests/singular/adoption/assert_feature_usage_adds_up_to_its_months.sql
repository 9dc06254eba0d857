-- A user's uses of a feature are those of all months. One row per user, license and
-- feature that has more or fewer.
{{ config(group="adoption") }}

with both_sides as (
    select
        user_id,
        license_id,
        feature_name,
        total_uses
    from {{ ref("fct_feature_usage") }}
    union all
    select
        user_id,
        license_id,
        feature_name,
        -total_uses as total_uses
    from {{ ref("int_feature_uses__by_month_feature_license_user") }}
)

select
    user_id,
    license_id,
    feature_name,
    sum(total_uses) as uses_too_many
from both_sides
group by user_id, license_id, feature_name
having sum(total_uses) != 0
