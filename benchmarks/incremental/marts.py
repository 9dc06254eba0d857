"""Properties of the models, mostly from the engine's tables."""

from dataclasses import dataclass
from typing import Any

from benchmarks.incremental.company import Company

ENGINE = "analytics_refresh"

# The marts that grow with events, then those of the ledger.
MARTS = (
    "fct_usage_daily",
    "fct_usage_monthly",
    "fct_feature_usage",
    "fct_active_users_daily",
    "fct_feature_adoption_monthly",
    "fct_api_usage_daily",
    "fct_errors_daily",
    "fct_audit_daily",
    "fct_affiliate_earnings",
    "fct_affiliate_earnings_monthly",
    "fct_affiliate_funnel_daily",
    "fct_revenue_monthly",
)


@dataclass(frozen=True)
class Window:
    """A mart's update by a window of time. Its grain is a period and a group."""

    source: str
    unit: str
    """day or month."""
    period: str
    group: tuple[str, ...]

    @property
    def grain(self) -> tuple[str, ...]:
        """The columns of the grain."""
        return (self.period, *self.group)


# Other marts add up all history, or read other marts.
WINDOWS = {
    "fct_usage_daily": Window(
        "stg_saas__usage_events",
        "day",
        "usage_date",
        ("user_id", "license_id", "team_id", "event_type"),
    ),
    "fct_usage_monthly": Window(
        "stg_saas__usage_events",
        "month",
        "usage_month",
        ("user_id", "license_id", "team_id", "event_type"),
    ),
    "fct_api_usage_daily": Window(
        "stg_saas__api_usage", "day", "usage_date", ("endpoint", "method")
    ),
    "fct_errors_daily": Window(
        "stg_saas__error_logs",
        "day",
        "error_date",
        ("severity", "error_type", "source"),
    ),
    "fct_audit_daily": Window(
        "stg_saas__audit_logs",
        "day",
        "audit_date",
        ("action", "resource_type", "status"),
    ),
}


@dataclass(frozen=True)
class Model:
    """A model in the engine's tables."""

    name: str
    relation: str
    select: str
    inputs: tuple[dict[str, Any], ...]
    indexes: tuple[str, ...]
    """Definitions, for a table named {table}."""

    @property
    def models_read(self) -> list[str]:
        """The models that it reads."""
        return [each["name"] for each in self.inputs if each["kind"] == "model"]


def read_models(company: Company) -> dict[str, Model]:
    """Every model of the engine."""
    indexes: dict[str, list[str]] = {}
    for relation, definition in company.execute(
        f"select model, pg_get_indexdef(indexrelid) from {ENGINE}.models "
        "inner join pg_index on relation::regclass = indrelid"
    ):
        head, _, tail = definition.partition(" USING ")
        unique = "unique" if "UNIQUE" in head else ""
        indexes.setdefault(relation, []).append(
            f"create {unique} index on {{table}} using {tail}"
        )
    return {
        name: Model(name, relation, select, tuple(inputs), tuple(indexes.get(name, ())))
        for name, relation, select, inputs in company.execute(
            f"select model, relation, definition, inputs from {ENGINE}.models"
        )
    }


def chain(models: dict[str, Model], mart: str) -> list[str]:
    """The intermediate models of a mart and the mart, in the order of a run."""
    found: list[str] = []
    for name in models[mart].models_read:
        if name not in MARTS:
            found += [each for each in chain(models, name) if each not in found]
    return [*found, mart]
