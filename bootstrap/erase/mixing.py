"""Mixes the rows of an erasure with others, so that no transaction id or order shows
them.

An updated row has its transaction (change_xid, xmin), its command and its place in the
table. So an erasure updates all its rows once more, in one statement or in random
order, together with other rows. These are activity without a person, and erased
accounts. It selects rows by owner, because one transaction of the application can write
to an erased account and to thousands of live ones.
"""

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

# Tables of activity: the name, the time, and the condition of rows without a person.
ACTIVITY = {
    "usage_events": ("occurred_at", "user_id is null"),
    "api_usage": ("occurred_at", "user_id is null"),
    "error_logs": ("occurred_at", "user_id is null"),
    "audit_logs": ("occurred_at", "user_id is null and resource_id is null"),
    "affiliate_clicks": ("clicked_at", "referral_id is null"),
}

# The numbers of other rows: so many for each row of the person, plus a minimum.
OTHERS_PER_ROW = 4
OTHERS = 1000

# Other rows are from the same days and as many days around them. Otherwise the first of
# these days would be the day of the sign-up.
MIX_ACTIVITY = """
with own as materialized (
    select id, {time} from {table} where change_xid = pg_current_xact_id()
),

own_days as materialized (
    select distinct cast({time} at time zone 'UTC' as date) as day
    from own
    where {time} >= '1900-01-01' and {time} < '9999-01-01'
),

span as (
    select min(day) as first_day, max(day) as last_day, count(*) as number from own_days
),

other_days as materialized (
    select span.first_day - 30
        + floor(random() * (span.last_day - span.first_day + 61))::integer as day
    from span, generate_series(1, least(span.number + 10, 1000))
    where span.number > 0
),

days as materialized (
    select day from own_days union select day from other_days
),

others as materialized (
    select rows.id, rows.{time}
    from days
    inner join {table} as rows
        on rows.{time} >= cast(days.day as timestamp) at time zone 'UTC'
        and rows.{time} < cast(days.day + 1 as timestamp) at time zone 'UTC'
    where {condition} and rows.change_xid <> pg_current_xact_id()
    order by random()
    limit (select {others_per_row} * count(*) + {others} from own)
),

mixed as materialized (
    select id, {time} from own union all select id, {time} from others
)

update {table} as rows set id = rows.id
from mixed
where rows.id = mixed.id and rows.{time} = mixed.{time}
"""

# The number of erased accounts that are updated with the present one. From more of them
# it is a random sample, so the cost of an erasure does not grow with their number.
OTHER_ACCOUNTS = 500

# Ids are in a table of the transaction, because servers log parameters.
MIXED = "create temporary table mixed (id uuid not null) on commit drop"

SAMPLE = """
insert into mixed (id)
select user_id from given
union all (
    select id from {schema}.users
    where not is_active and email = 'erased-' || id || '@erased.invalid'
    order by random()
    limit {others}
)
"""

# The rows of an account: each table by a column that refers to an earlier one.
OWNED = (
    ("licenses", "user_id"),
    ("teams", "owner_id"),
    ("subscriptions", "license_id"),
    ("payment_transactions", "subscription_id"),
    ("affiliates", "user_id"),
    ("affiliate_referrals", "referred_user_id"),
)

OWN = """
insert into mixed (id)
select id from {table}
where {column} = any(array(select mixed.id from mixed))
"""

# Updates all rows of these accounts, and the rows that this erasure has changed.
MIX_ACCOUNTS = """
declare
    -- Quoted where it needs to be.
    home constant text := (
        select typnamespace::regnamespace from pg_type
        where oid = pg_typeof(null::this_schema.users)
    );
    known refcursor := 'erased';
    relation text;
    condition text;
begin
    for relation, condition in values
        ('users', 'id = any (ids)'),
        ('licenses', 'id = any (ids)'),
        ('teams', 'id = any (ids)'),
        -- Of some, only updated_at says when they ended.
        (
            'subscriptions',
            'id = any (ids) and (status != ''canceled'' '
            'or num_nonnulls(canceled_at, current_period_end) > 0)'
        ),
        ('payment_transactions', 'id = any (ids)'),
        ('affiliates', 'id = any (ids)'),
        ('affiliate_payouts', 'affiliate_id = any (ids)'),
        (
            'affiliate_commissions',
            'affiliate_id = any (ids) or referral_id = any (ids)'
        ),
        ('affiliate_referrals', 'affiliate_id = any (ids) or id = any (ids)'),
        ('affiliate_clicks', 'affiliate_id = any (ids)'),
        ('audit_logs', 'resource_id = any (names)')
    loop
        condition := replace(condition, '(ids)', '(array(select id from mixed))');
        condition := replace(
            condition, '(names)', '(array(select id::text from mixed))'
        );
        open known for execute format(
            'select id from %s.%I where change_xid = pg_current_xact_id() or %s '
            'order by random() for update', home, relation, condition
        );
        loop
            -- Servers log the parameters of a plan: none of these holds an id.
            move next in known;
            exit when not found;
            execute format(
                'update %s.%I set id = id where current of erased', home, relation
            );
        end loop;
        close known;
    end loop;
end
"""


def activity_statements(schema: str) -> list[sql.Composed]:
    """The statement that mixes the rows of each table of activity."""
    return [
        sql.SQL(MIX_ACTIVITY).format(
            table=sql.Identifier(schema, table),
            time=sql.Identifier(time),
            condition=sql.SQL(condition),
            others_per_row=sql.Literal(OTHERS_PER_ROW),
            others=sql.Literal(OTHERS),
        )
        for table, (time, condition) in ACTIVITY.items()
    ]


def mix_activity(cursor: Cursor, schema: str) -> None:
    """Mix the rows that this transaction has changed with rows without a person."""
    for statement in activity_statements(schema):
        cursor.execute(statement)


def mix_accounts(cursor: Cursor, schema: str) -> None:
    """Mix the rows that this transaction has changed with rows of erased accounts."""
    cursor.execute(MIXED)
    home = sql.Identifier(schema)
    cursor.execute(
        sql.SQL(SAMPLE).format(schema=home, others=sql.Literal(OTHER_ACCOUNTS))
    )
    for table, column in OWNED:
        cursor.execute(
            sql.SQL(OWN).format(
                table=sql.Identifier(schema, table), column=sql.Identifier(column)
            )
        )
    body = MIX_ACCOUNTS.replace("this_schema.", f"{home.as_string(cursor)}.")
    cursor.execute(sql.SQL("do {}").format(sql.Literal(body)))
