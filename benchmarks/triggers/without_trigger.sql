-- Takes the triggers off that keep the affiliates' earnings.

do $$
declare
    earnings_trigger record;
begin
    for earnings_trigger in
        select tgname, tgrelid::regclass as tgtable
        from pg_trigger
        where tgfoid = 'update_affiliate_earnings'::regproc
    loop
        execute format(
            'drop trigger %I on %s', earnings_trigger.tgname, earnings_trigger.tgtable
        );
    end loop;
end;
$$;
