-- 006: indexes by which a refresh finds rows, so it need not read whole tables.
--
-- * Times: those of payments, referrals and licenses that changed or took effect on the
--   days of a refresh. The expressions are those of the macro plausible_time(), which
--   the staging views use: a time from 1970 to before 2100, else null.
-- * Names: campaigns, and groups and days of calls, errors and audited actions. Equal
--   keys are deduplicated (docs/reference/performance.md). The indexes truncate names
--   as the macro name_of() does: to 201 characters, endpoints and campaigns to 257. An
--   application may widen a column to text, and an index refuses a row with names of
--   2,704 bytes.

-- A migration is one transaction, and "concurrently" is not for partitioned tables.
-- squawk-ignore-file require-concurrent-index-creation

begin;

set local lock_timeout = '10s';

select pg_catalog.set_config(
    'search_path', pg_catalog.format('%I, pg_temp', pg_catalog.current_schema()), true
);

-- Times -------------------------------------------------------------------------------

do $$
declare
    plausible constant text := 'case when %1$I >= timestamptz ''1970-01-01 00:00:00+00'' '
        'and %1$I < timestamptz ''2100-01-01 00:00:00+00'' then %1$I end';
    indexed record;
begin
    for indexed in
        select
            table_name,
            format('%s_%s_idx', table_name, name) as index_name,
            format(plausible, column_name) as expression
        from (values
            ('licenses', 'started_at', 'started_at'),
            ('licenses', 'cancelled_at', 'cancelled_at'),
            ('licenses', 'expires_at', 'plausible_expires_at'),
            ('affiliate_referrals', 'qualified_at', 'qualified_at'),
            ('affiliate_referrals', 'converted_at', 'converted_at'),
            ('affiliate_referrals', 'created_at', 'plausible_created_at')
        ) as times (table_name, column_name, name)
        union all
        select 'payment_transactions', 'payment_transactions_time_idx', format(
            'coalesce(%s, %s)',
            format(plausible, 'processed_at'), format(plausible, 'created_at')
        )
    loop
        execute format(
            'create index %I on %I ((%s))',
            indexed.index_name, indexed.table_name, indexed.expression
        );
    end loop;
end;
$$;

-- Names -------------------------------------------------------------------------------
--
-- A column of another type, such as an enum, is a key without a change, because its
-- cast to text is not immutable.
--
-- The index of a default partition comes first: PostgreSQL makes it a part of the index
-- of the whole table. Its name is the one of databases made before 0.1.0, where the
-- name without the 1 was in use.

do $$
declare
    built record;
begin
    for built in
        select
            indexes.name,
            indexes.table_name,
            indexes.names <> 'utm_campaign' as has_day,
            (
                select string_agg(
                    case pg_type.typcategory
                        -- Text, and what is made of it: domains, citext.
                        when 'S' then format('(%I::varchar(%s))', column_name,
                            case when column_name in ('endpoint', 'utm_campaign')
                                then 257 else 201 end)
                        else quote_ident(column_name)
                    end, ', ' order by position
                )
                from unnest(string_to_array(indexes.names, ' '))
                    with ordinality as named (column_name, position)
                left join pg_attribute
                    on pg_attribute.attrelid = indexes.table_name::regclass
                    and pg_attribute.attname = named.column_name
                left join pg_type on pg_attribute.atttypid = pg_type.oid
            ) as name_keys
        from (values
            ('affiliate_clicks_campaign_idx', 'affiliate_clicks', 'utm_campaign'),
            ('affiliate_referrals_campaign_idx', 'affiliate_referrals', 'utm_campaign'),
            (
                'api_usage_default_endpoint_method_timezone_idx1', 'api_usage_default',
                'endpoint method'
            ),
            ('api_usage_endpoint_day_idx', 'api_usage', 'endpoint method'),
            (
                'error_logs_default_error_type_severity_source_timezone_idx1',
                'error_logs_default', 'error_type severity source'
            ),
            ('error_logs_type_day_idx', 'error_logs', 'error_type severity source'),
            (
                'audit_logs_default_action_resource_type_status_timezone_idx1',
                'audit_logs_default', 'action resource_type status'
            ),
            ('audit_logs_action_day_idx', 'audit_logs', 'action resource_type status')
        ) as indexes (name, table_name, names)
    loop
        execute format(
            case
                when built.has_day
                    then 'create index %I on %I '
                        '(%s, ((occurred_at at time zone ''UTC'')::date))'
                else 'create index %I on %I (%s) where utm_campaign is not null'
            end, built.name, built.table_name, built.name_keys
        );
    end loop;
end;
$$;

commit;
