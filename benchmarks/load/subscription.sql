-- A customer changes the plan, and a commission is approved.
\set license random(0, 3999)
\set user random(200, 9999)
\set plan random(1, 3)
update subscriptions
set
    plan_type = (array['starter', 'pro', 'enterprise'])[:plan],
    amount_cents = 1900 * :plan
where id = md5('subscription' || :license)::uuid;
update affiliate_commissions set status = 'approved'
where id = (
    select id from affiliate_commissions
    where referral_id = md5('referral' || :user)::uuid and status = 'pending'
    limit 1
);
