-- The index of users as it is without capture, in the place of that of users and days.

drop index usage_events_user_id_day_idx;

create index usage_events_user_id_idx on usage_events (user_id)
where user_id is not null;
