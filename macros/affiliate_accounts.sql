{#-
    The findings on payouts compare the money of one affiliate in one currency. They
    read the source in one statement: the mart shows an earlier moment of the ledger.

    A payout in another currency than a commission of its own is left out, with all of
    its commissions. Amounts of two currencies can't be compared;
    payouts_in_another_currency lists them.
-#}


{#-
    One row per payout that is under way or completed and that commissions name.
    `commissions_cents` counts the commissions in every status, as on the day of the
    payout. `clawed_back_cents` is the part that was cancelled or disputed since.
-#}
{% macro payouts_compared() %}
    select
        payouts.payout_id,
        payouts.affiliate_id,
        payouts.status,
        payouts.currency,
        payouts.amount_cents,
        payouts.commission_count,
        payouts.created_at,
        count(*) as commissions,
        {{ sum_if("commissions.amount_cents", "true") }} as commissions_cents,
        {{ sum_if(
            "commissions.amount_cents",
            "commissions.status in ('cancelled', 'disputed')",
        ) }} as clawed_back_cents,
        {{ count_if("commissions.affiliate_id != payouts.affiliate_id") }}
            as of_other_affiliates,
        {{ count_if("commissions.currency != payouts.currency") }}
            as in_other_currencies
    from {{ ref("stg_saas__affiliate_payouts") }} as payouts
    inner join {{ ref("stg_saas__affiliate_commissions") }} as commissions
        on payouts.payout_id = commissions.payout_id
    where payouts.status in ('pending', 'processing', 'completed')
    group by
        payouts.payout_id,
        payouts.affiliate_id,
        payouts.status,
        payouts.currency,
        payouts.amount_cents,
        payouts.commission_count,
        payouts.created_at
{% endmacro %}


{#-
    One row per affiliate and currency.

    `underpaid_cents`: what payouts are short of their commissions, and commissions
    marked as paid that no payout covers.
    `overpaid_cents`: what payouts exceed their commissions by, and completed payouts
    that no commission names; less cancelled commissions that were paid and no longer
    name their payout.
    `clawed_back_cents`: cancelled or disputed commissions of payouts.
    `converted_cents`: the part of `unreconciled_cents` in fct_affiliate_earnings that
    comes from payouts in another currency than their commissions.

    A later payout may settle the error of an earlier one, or net a clawback. So
    `is_underpaid` and `is_overpaid` hold only for what nothing settles. Paid
    commissions without a payout offset payouts without commissions: only the link
    between them is missing.
-#}
{% macro affiliate_accounts() %}
    with compared as (
        {{ payouts_compared() }}
    ),

    entries as (
        select
            affiliate_id,
            currency,
            greatest(commissions_cents - amount_cents, 0) as short_cents,
            greatest(amount_cents - commissions_cents, 0) as long_cents,
            clawed_back_cents,
            0 as paid_without_payout_cents,
            0 as sent_without_commission_cents,
            0 as unlinked_cents,
            0 as converted_cents
        from compared
        where in_other_currencies = 0
        union all
        select
            affiliate_id,
            currency,
            0 as short_cents,
            0 as long_cents,
            0 as clawed_back_cents,
            0 as paid_without_payout_cents,
            0 as sent_without_commission_cents,
            0 as unlinked_cents,
            -amount_cents as converted_cents
        from compared
        where in_other_currencies > 0 and status = 'completed'
        union all
        select
            payouts.affiliate_id,
            payouts.currency,
            0 as short_cents,
            0 as long_cents,
            0 as clawed_back_cents,
            0 as paid_without_payout_cents,
            payouts.amount_cents as sent_without_commission_cents,
            0 as unlinked_cents,
            0 as converted_cents
        from {{ ref("stg_saas__affiliate_payouts") }} as payouts
        left join compared on payouts.payout_id = compared.payout_id
        where payouts.status = 'completed' and compared.payout_id is null
        union all
        select
            commissions.affiliate_id,
            commissions.currency,
            0 as short_cents,
            0 as long_cents,
            0 as clawed_back_cents,
            case
                when compared.payout_id is null then commissions.amount_cents
                else 0
            end as paid_without_payout_cents,
            0 as sent_without_commission_cents,
            0 as unlinked_cents,
            case
                when compared.in_other_currencies > 0 then commissions.amount_cents
                else 0
            end as converted_cents
        from {{ ref("stg_saas__affiliate_commissions") }} as commissions
        left join compared on commissions.payout_id = compared.payout_id
        where commissions.status = 'paid'
        union all
        select
            affiliate_id,
            currency,
            0 as short_cents,
            0 as long_cents,
            0 as clawed_back_cents,
            0 as paid_without_payout_cents,
            0 as sent_without_commission_cents,
            amount_cents as unlinked_cents,
            0 as converted_cents
        from {{ ref("stg_saas__affiliate_commissions") }}
        where status = 'cancelled' and payout_id is null and paid_at is not null
    ),

    sums as (
        select
            affiliate_id,
            currency,
            sum(short_cents) + greatest(
                sum(paid_without_payout_cents) - sum(sent_without_commission_cents), 0
            ) as underpaid_cents,
            greatest(
                sum(long_cents) + greatest(
                    sum(sent_without_commission_cents) - sum(paid_without_payout_cents),
                    0
                ) - sum(unlinked_cents),
                0
            ) as overpaid_cents,
            sum(clawed_back_cents) as clawed_back_cents,
            sum(converted_cents) as converted_cents
        from entries
        group by affiliate_id, currency
    )

    select
        affiliate_id,
        currency,
        underpaid_cents,
        overpaid_cents,
        clawed_back_cents,
        converted_cents,
        underpaid_cents > clawed_back_cents + overpaid_cents as is_underpaid,
        overpaid_cents > greatest(underpaid_cents - clawed_back_cents, 0)
            as is_overpaid
    from sums
{% endmacro %}
