-- The plain design: each changed row sums the affiliate's whole history again.

create function resum_affiliate_earnings() returns trigger
language plpgsql
as $$
declare
    changed uuid := coalesce(new.affiliate_id, old.affiliate_id);
begin
    update affiliates
    set
        total_earnings_cents = (
            select coalesce(sum(amount_cents), 0)
            from affiliate_commissions
            where affiliate_id = changed and status in ('approved', 'paid')
        ),
        paid_out_cents = (
            select coalesce(sum(amount_cents), 0)
            from affiliate_commissions
            where affiliate_id = changed and status = 'paid'
        ),
        pending_payout_cents = (
            select coalesce(sum(amount_cents), 0)
            from affiliate_commissions
            where affiliate_id = changed and status = 'approved'
        )
    where id = changed;
    return null;
end;
$$;

create trigger affiliate_commissions_resum
after insert or update or delete on affiliate_commissions
for each row execute function resum_affiliate_earnings();
