-- depends_on: {{ ref("fct_affiliate_earnings") }}
-- Payouts that no commission names are in payouts_without_commissions. A difference
-- that nets a clawback or settles an earlier payout is right. A count of 0 means that
-- the application keeps none.
with compared as (
    {{ payouts_compared() }}
),

accounts as (
    {{ affiliate_accounts() }}
),

reasoned as (
    select
        compared.*,
        accounts.underpaid_cents,
        accounts.overpaid_cents,
        accounts.clawed_back_cents as account_clawed_back_cents,
        case
            when compared.of_other_affiliates > 0
                then 'commissions_of_another_affiliate'
            when compared.in_other_currencies > 0 then null
            when
                compared.amount_cents < compared.commissions_cents
                and accounts.is_underpaid
                then 'another_amount'
            when
                compared.amount_cents > compared.commissions_cents
                and accounts.is_overpaid
                then 'another_amount'
            when
                compared.amount_cents = compared.commissions_cents
                and compared.commission_count not in (0, compared.commissions)
                then 'another_count'
        end as reason
    from compared
    left join accounts
        on
            compared.affiliate_id = accounts.affiliate_id
            and compared.currency = accounts.currency
)

select
    payout_id,
    affiliate_id,
    reason,
    status,
    currency,
    amount_cents,
    commissions_cents,
    commission_count,
    commissions,
    underpaid_cents,
    overpaid_cents,
    account_clawed_back_cents as clawed_back_cents,
    created_at
from reasoned
where reason is not null
