-- Affiliates with a given number of commissions each, 20 for every referral. Ids are made
-- of the history's length, so that all databases hold the same rows.

create function make_affiliate(history integer) returns uuid
language plpgsql
as $$
declare
    affiliate constant uuid := md5('affiliate' || history)::uuid;
begin
    insert into users (id, email, password_hash)
    select md5('user' || history || '-' || number)::uuid, history || '-' || number, '-'
    from generate_series(0, history / 20 + 1) as number;

    insert into affiliates (id, user_id, affiliate_code, status)
    values (affiliate, md5('user' || history || '-0')::uuid, history, 'active');

    insert into affiliate_referrals (id, affiliate_id, referred_user_id, status)
    select
        md5('referral' || history || '-' || number)::uuid,
        affiliate,
        md5('user' || history || '-' || number)::uuid,
        'converted'
    from generate_series(1, history / 20 + 1) as number;

    insert into affiliate_commissions (
        id, affiliate_id, referral_id, commission_type, amount_cents, commission_rate,
        status
    )
    select
        md5('commission' || history || '-' || number)::uuid,
        affiliate,
        md5('referral' || history || '-' || number / 20 + 1)::uuid,
        'recurring',
        1000,
        20,
        case when number % 2 = 0 then 'paid' else 'approved' end
    from generate_series(0, history - 1) as number;

    update affiliates
    set
        total_earnings_cents = history * 1000::bigint,
        paid_out_cents = (history + 1) / 2 * 1000::bigint,
        pending_payout_cents = history / 2 * 1000::bigint
    where id = affiliate;
    return affiliate;
end;
$$;
