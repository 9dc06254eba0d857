-- A BRIN index in the place of the b-tree. It knows no xid8, so it has the number.

create index usage_events_change_xid_idx on usage_events
using brin ((change_xid::text::bigint)) with (pages_per_range = 8);
