-- The column and its triggers alone: a run reads the table to find what changed.

drop index usage_events_change_xid_idx;
