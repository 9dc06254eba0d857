-- Under one license a feature is new once at most, so a feature's new licenses of all
-- time are no more than the licenses that ever used it, and its uses under live
-- licenses no more than all its uses. One row per feature that disagrees.
with adoption as (
    select
        feature_name,
        sum(new_licenses) as new_licenses,
        sum(total_uses) as total_uses
    from {{ ref("fct_feature_adoption_monthly") }}
    where plan_type = 'all'
    group by feature_name
),

feature_usage as (
    select
        feature_name,
        count(distinct license_id) as licenses_ever,
        sum(total_uses) as uses_ever
    from {{ ref("fct_feature_usage") }}
    group by feature_name
)

select
    coalesce(adoption.feature_name, feature_usage.feature_name) as feature_name,
    adoption.new_licenses,
    feature_usage.licenses_ever,
    adoption.total_uses,
    feature_usage.uses_ever
from adoption
full outer join feature_usage on adoption.feature_name = feature_usage.feature_name
where
    adoption.feature_name is null
    or feature_usage.feature_name is null
    or adoption.new_licenses > feature_usage.licenses_ever
    or adoption.total_uses > feature_usage.uses_ever
