"""One of many clients, in a separate module so that new processes can import it."""

import contextlib
import time

from benchmarks import server

INSERT = """
insert into affiliate_commissions (
    affiliate_id, referral_id, commission_type, amount_cents, commission_rate, status
)
select
    md5('affiliate' || %(history)s)::uuid,
    md5('referral' || %(history)s || '-1')::uuid,
    'recurring', 1000, 20, 'approved'
from generate_series(1, %(count)s)
"""


def insert_commissions(dsn: str, seconds: float) -> int:
    """One client: a commission per transaction for a while; returns how many."""
    with (
        contextlib.closing(server.connect(dsn)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("set synchronous_commit = off")
        count = 0
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            cursor.execute(INSERT, {"history": 0, "count": 1})
            count += 1
        return count
