-- For a database that psql brought to 015_long_names, the last migration before 0.1.0:
--
-- psql "$DATABASE_URL" -f bootstrap/adopt_015.sql
--
-- It proves that the schema is the one of 009_stale_usage, and records that version. If
-- the schema differs, it prints the first differences, changes nothing and exits with
-- 3. `saas migrate` does the same.
--
-- The migrations create the expected schema in saas_analytics_expected. The script
-- drops it at the end; drop it yourself after an interruption. For another schema than
-- public: PGOPTIONS='-c search_path=my_schema'.

\set ON_ERROR_STOP on
\set QUIET on
\set VERBOSITY terse
set client_min_messages = warning;
select current_schema() as home \gset
\o /dev/null

set lock_timeout = '10s';
-- This lock keeps other migrations from running.
select pg_advisory_lock(7226001);

do $$
declare
    noted text;
begin
    if to_regclass('alembic_version') is not null then
        select version_num into noted from alembic_version;
        if noted = '009_stale_usage' then
            raise exception 'the database is at 009_stale_usage already';
        elsif noted is distinct from '015_long_names' then
            raise exception 'the database is at %: bring it to 015_long_names first, '
                'with the former release (git checkout 4451698)',
                coalesce(noted, 'no migration');
        end if;
    end if;
end;
$$;

create schema saas_analytics_expected;
set search_path to saas_analytics_expected;
\ir migrations/001_initial_schema.sql
\ir migrations/002_affiliates.sql
\ir migrations/003_analytics.sql
\ir migrations/004_change_capture.sql
\ir migrations/005_erasures.sql
\ir migrations/006_refresh_indexes.sql
\ir migrations/007_daily_usage.sql
\ir migrations/008_monthly_usage.sql
\ir migrations/009_stale_usage.sql

set search_path to :"home";
set saas_analytics.expected = 'saas_analytics_expected';

begin;

-- Until the end, other sessions can't alter the tables, but can write rows.
do $$
declare
    ours regclass;
begin
    for ours in
        select format('%I.%I', current_schema(), present.relname)
        from pg_class as expected
        inner join pg_class as present on expected.relname = present.relname
        where expected.relnamespace = 'saas_analytics_expected'::regnamespace
            and present.relnamespace = quote_ident(current_schema())::regnamespace
            and present.relkind in ('r', 'p') and not expected.relispartition
        order by present.relname
    loop
        execute format('lock table only %s in access share mode', ours);
    end loop;
end;
$$;

\ir schema_differences.sql

do $$
begin
    if current_setting('saas_analytics.differences') = ''
        and to_regclass('alembic_version') is not null
    then
        update alembic_version set version_num = '009_stale_usage';
        -- The next migration records the checksums of the files.
        delete from migration_checksums;
    end if;
end;
$$;

drop schema saas_analytics_expected cascade;

commit;

do $$
begin
    if current_setting('saas_analytics.differences') <> '' then
        raise exception 'the schema is not the one of 009_stale_usage: %; nothing was '
            'changed', current_setting('saas_analytics.differences');
    end if;
end;
$$;

\o
\echo 'The schema is the one of 009_stale_usage.'
