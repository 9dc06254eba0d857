-- Takes 014_wide_amounts.sql back: fails, and changes nothing, where an amount is
-- larger than 2,147,483,647, or a view shows an amount as it is.

-- squawk-ignore-file changing-column-type

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path',
    pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()),
    true
);

-- A column that a view or a trigger's condition reads can't get another type. Such
-- views, as dbt's staging views are, select nulls meanwhile: so they keep their owner,
-- grants, comments and the views on them. Such triggers are made again.
select pg_catalog.set_config('saas_analytics.set_aside', (
    with dependents as (
        select distinct
            depends.classid,
            depends.objid
        from (
            values
            ('subscriptions', 'amount_cents'),
            ('payment_transactions', 'amount_cents'),
            ('payment_transactions', 'refunded_amount_cents'),
            ('affiliate_commissions', 'amount_cents'),
            ('affiliate_payouts', 'amount_cents')
        ) as listed (table_name, column_name)
        inner join pg_attribute as columns
            on listed.table_name::regclass = columns.attrelid
            and listed.column_name = columns.attname
        inner join pg_depend as depends
            on depends.refclassid = 'pg_class'::regclass
            and columns.attrelid = depends.refobjid
            and columns.attnum = depends.refobjsubid
    ),

    set_aside as (
        select distinct
            views.oid as relid,
            views.relkind::text as kind,
            views.oid::regclass::text as name,
            pg_get_viewdef(views.oid) as definition,
            array_to_string(views.reloptions, ', ') as options
        from dependents
        inner join pg_rewrite as rules
            on dependents.classid = 'pg_rewrite'::regclass
            and dependents.objid = rules.oid
        inner join pg_class as views on rules.ev_class = views.oid
        union all
        select
            triggers.tgrelid,
            'trigger',
            triggers.tgname::text,
            pg_get_triggerdef(triggers.oid),
            case triggers.tgenabled
                when 'A' then 'enable always'
                when 'R' then 'enable replica'
                when 'D' then 'disable'
                else 'enable'
            end
        from dependents
        inner join pg_trigger as triggers
            on dependents.classid = 'pg_trigger'::regclass
            and dependents.objid = triggers.oid
    )

    select coalesce(jsonb_agg(to_jsonb(set_aside)), '[]')::text
    from set_aside
), true);

do $$
declare
    aside record;
    nulls text;
begin
    for aside in
        select * from jsonb_to_recordset(
            current_setting('saas_analytics.set_aside')::jsonb
        ) as aside (relid oid, kind text, name text, definition text, options text)
    loop
        if aside.kind = 'm' then
            raise exception 'the materialized view % reads an amount that gets another '
                'type', aside.name
                using hint = 'drop it, migrate, and make it again';
        elsif aside.kind = 'trigger' then
            execute format(
                'drop trigger %I on %s', aside.name, aside.relid::regclass
            );
            continue;
        end if;
        select string_agg(format(
            'null::%s%s as %I', format_type(atttypid, atttypmod),
            case when attcollation not in (0, typcollation)
                then ' collate ' || attcollation::regcollation end,
            attname
        ), ', ' order by attnum) into nulls
        from pg_attribute
        inner join pg_type on atttypid = pg_type.oid
        where attrelid = aside.relid and attnum > 0 and not attisdropped;
        begin
            execute format('create or replace view %s as select %s', aside.name, nulls);
        exception when insufficient_privilege then
            raise exception 'the view % reads an amount that gets another type, and '
                'belongs to another role', aside.name
                using hint = 'migrate as a member of its owner, or drop the view, '
                    'migrate, and make it again; `make build` makes those of dbt';
        end;
    end loop;
end;
$$;

alter table subscriptions
drop constraint subscriptions_amount_cents_at_most_10_to_15,
alter column amount_cents type integer;

alter table payment_transactions
drop constraint payment_transactions_amount_cents_at_most_10_to_15,
drop constraint payment_transactions_refunded_amount_cents_at_most_10_to_15,
alter column amount_cents type integer,
alter column refunded_amount_cents type integer;

alter table affiliate_commissions
drop constraint affiliate_commissions_amount_cents_at_most_10_to_15,
alter column amount_cents type integer;

alter table affiliate_payouts
drop constraint affiliate_payouts_amount_cents_at_most_10_to_15,
alter column amount_cents type integer;

do $$
declare
    aside record;
begin
    for aside in
        select * from jsonb_to_recordset(
            current_setting('saas_analytics.set_aside')::jsonb
        ) as aside (relid oid, kind text, name text, definition text, options text)
    loop
        if aside.kind = 'trigger' then
            execute aside.definition;
            execute format(
                'alter table %s %s trigger %I', aside.relid::regclass, aside.options,
                aside.name
            );
            continue;
        end if;
        begin
            execute format(
                'create or replace view %s%s as %s', aside.name,
                ' with (' || aside.options || ')', aside.definition
            );
        exception when invalid_table_definition then
            raise exception 'the view % shows an amount whose type changes', aside.name
                using hint = 'drop it, migrate, and make it again';
        end;
    end loop;
end;
$$;

commit;
