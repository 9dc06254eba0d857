"""The database: connections, requirements of commands, and explanations of errors."""

from saas_analytics.database.checks import (
    has_source,
    misplaced_source,
    require_builder,
    require_owner,
    require_source,
    require_unicode,
    schemas_with_source,
)
from saas_analytics.database.connections import (
    act_as,
    connect,
    connected,
    name_of,
    url_in_use,
    use_source,
)
from saas_analytics.database.interrupts import interruptible
from saas_analytics.database.messages import explain
from saas_analytics.database.poolers import refuse_shared_sessions

__all__ = [
    "act_as",
    "connect",
    "connected",
    "explain",
    "has_source",
    "interruptible",
    "misplaced_source",
    "name_of",
    "refuse_shared_sessions",
    "require_builder",
    "require_owner",
    "require_source",
    "require_unicode",
    "schemas_with_source",
    "url_in_use",
    "use_source",
]
