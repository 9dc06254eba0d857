-- The person's account, in a separate transaction. A second run changes nothing.

-- audit_logs: actions on the person or their things; the actor stays
update this_schema.audit_logs
set
    resource_id = case
        when resource_id <> (select own_user.email from own_user) then resource_id
    end,
    changes = '{}',
    ip_address = case when user_id is not null then ip_address end,
    user_agent = case when user_id is not null then user_agent end,
    failure_reason = null,
    metadata = '{}'
where resource_id = any(array(select own_things.name from own_things))
    and (
        resource_id = (select own_user.email from own_user)
        or (changes, failure_reason, metadata)
        is distinct from ('{}'::jsonb, null::text, '{}'::jsonb)
        or (user_id is null and (ip_address is not null or user_agent is not null))
    );

-- licenses: each one with the person as a member gets a free seat
update this_schema.licenses
set seats_used = seats_used - 1
where seats_used > 0
    and id in (
        select teams.license_id
        from this_schema.team_members
        inner join this_schema.teams on team_members.team_id = teams.id
        where team_members.user_id = (select given.user_id from given)
    );

-- team_members: the memberships are deleted
delete from this_schema.team_members
where user_id = (select given.user_id from given);

-- teams: names and slugs by the person
update this_schema.teams
set name = 'Erased', slug = 'erased-' || id, metadata = '{}'
where owner_id = (select given.user_id from given)
    and (name, slug, metadata)
    is distinct from ('Erased', 'erased-' || id, '{}'::jsonb);

-- licenses: terms stay, because subscriptions refer to them
update this_schema.licenses
set license_key = 'erased-' || id, metadata = '{}'
where id = any(array(select own_licenses.id from own_licenses))
    and (license_key, metadata) is distinct from ('erased-' || id, '{}'::jsonb);

-- subscriptions: canceled_at gets the time of the end, if only updated_at has it
update this_schema.subscriptions
set
    canceled_at = ends.canceled_at,
    stripe_customer_id = null,
    metadata = '{}'
from (
    select
        id,
        case
            when status = 'canceled'
                and num_nonnulls(canceled_at, current_period_end) = 0
                and not exists (
                    select from this_schema.payment_transactions as payments
                    where payments.subscription_id = ended.id
                        and payments.status in ('succeeded', 'refunded')
                        and payments.amount_cents > 0
                )
                then updated_at
            else canceled_at
        end as canceled_at
    from this_schema.subscriptions as ended
) as ends
where subscriptions.id = ends.id
    and ends.id = any(array(select own_subscriptions.id from own_subscriptions))
    and (stripe_customer_id, metadata, subscriptions.canceled_at)
    is distinct from (null::text, '{}'::jsonb, ends.canceled_at);

-- payment_transactions: amounts, states, times and voucher numbers stay
update this_schema.payment_transactions
set failure_reason = null, metadata = '{}'
where subscription_id = any(array(select own_subscriptions.id from own_subscriptions))
    and (failure_reason, metadata)
    is distinct from (null::text, '{}'::jsonb);

-- affiliates: the account stays, because commissions and payouts refer to it
update this_schema.affiliates
set
    affiliate_code = 'erased-' || id,
    payment_details = '{}',
    metadata = '{}'
where id = any(array(select own_affiliates.id from own_affiliates))
    and (affiliate_code, payment_details, metadata)
    is distinct from ('erased-' || id, '{}'::jsonb, '{}'::jsonb);

-- affiliate_payouts: as payments do
update this_schema.affiliate_payouts
set failed_reason = null, metadata = '{}'
where affiliate_id = any(array(select own_affiliates.id from own_affiliates))
    and (failed_reason, metadata)
    is distinct from (null::text, '{}'::jsonb);

-- affiliate_commissions: as payments do, including those for referring the person
update this_schema.affiliate_commissions
set notes = null, metadata = '{}'
where (
        affiliate_id = any(array(select own_affiliates.id from own_affiliates))
        or referral_id = any(array(select own_referrals.id from own_referrals))
    )
    and (notes, metadata) is distinct from (null::text, '{}'::jsonb);

-- affiliate_referrals: referred user, time and campaign stay
update this_schema.affiliate_referrals
set
    referral_source = null,
    ip_address = null,
    user_agent = null,
    utm_source = null,
    utm_medium = null,
    utm_content = null,
    utm_term = null,
    metadata = '{}'
where (
        affiliate_id = any(array(select own_affiliates.id from own_affiliates))
        or id = any(array(select own_referrals.id from own_referrals))
    )
    and (
        coalesce(
            referral_source, ip_address::text, user_agent,
            utm_source, utm_medium, utm_content, utm_term
        ) is not null
        or metadata <> '{}'
    );

-- affiliate_clicks: campaign and time stay; pages may name the affiliate
update this_schema.affiliate_clicks
set
    ip_address = null,
    user_agent = null,
    referrer_url = null,
    landing_page = null,
    utm_source = null,
    utm_medium = null,
    utm_content = null,
    utm_term = null,
    metadata = '{}'
where affiliate_id = any(array(select own_affiliates.id from own_affiliates))
    and (
        coalesce(
            ip_address::text, user_agent, referrer_url, landing_page,
            utm_source, utm_medium, utm_content, utm_term
        ) is not null
        or metadata <> '{}'
    );

-- users: the row with the day of sign-up stays, because licenses and payments need it
update this_schema.users
set
    email = 'erased-' || id || '@erased.invalid',
    -- No password has this hash.
    password_hash = '!',
    full_name = null,
    role = 'user',
    is_active = false,
    email_verified = false,
    email_verified_at = null,
    last_login_at = null,
    created_at = case
        when created_at >= '1900-01-01' and created_at < '9999-01-01'
            then date_bin('15 minutes', created_at, '2000-01-01 00:00:00+00')
        else created_at
    end,
    metadata = '{}'
where id = (select given.user_id from given)
    and (
        (email, password_hash, role, is_active, email_verified, metadata)
        is distinct from (
            'erased-' || id || '@erased.invalid', '!', 'user', false, false,
            '{}'::jsonb
        )
        or full_name is not null
        or email_verified_at is not null
        or last_login_at is not null
    );
