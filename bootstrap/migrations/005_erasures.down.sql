-- Reverts 005_erasures.sql. Before-images of erasures then stay for some days.

begin;

set local lock_timeout = '10s';

drop function forget_erasures(xid8);
drop function note_erasure(uuid[]);
drop table erasures_to_forget;

commit;
