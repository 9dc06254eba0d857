"""The fixed facts of the demo: plans, prices, features, endpoints and errors."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

PLANS = ("free", "starter", "pro", "enterprise")
"""Plan types, from the lowest to the highest."""

UNIT_PRICES: dict[str, dict[str, int]] = {
    "free": {"USD": 0, "EUR": 0, "JPY": 0},
    "starter": {"USD": 1_900, "EUR": 1_800, "JPY": 2_800},
    "pro": {"USD": 3_900, "EUR": 3_600, "JPY": 5_800},
    "enterprise": {"USD": 6_900, "EUR": 6_400, "JPY": 9_900},
}
"""Price of one seat for one month in minor units (of JPY: in yen)."""

MONTHS_PER_YEARLY_PRICE = 10
"""A yearly subscription costs as much as ten months."""

TRIAL = dt.timedelta(days=14)
REFUND_WINDOW = dt.timedelta(days=25)
"""Refunds end before commissions are approved, so no paid commission is reversed."""

COMMISSION_HOLD = dt.timedelta(days=30)


def price(plan: str, cycle: str, seats: int, currency: str) -> int:
    """Return the price of one billing cycle in minor units."""
    months = MONTHS_PER_YEARLY_PRICE if cycle == "yearly" else 1
    return UNIT_PRICES[plan][currency] * months * seats


@dataclass(frozen=True, slots=True)
class Region:
    """A region of customers: its offset from UTC in hours, and its currency."""

    name: str
    utc_offset: int
    currency: str
    weight: float


REGIONS = (
    Region("us-east", -5, "USD", 0.34),
    Region("us-west", -8, "USD", 0.21),
    Region("europe", 1, "EUR", 0.33),
    Region("japan", 9, "JPY", 0.12),
)


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of the product.

    `launch_day` counts from the company's first day, and `lowest_plan` is an index of
    PLANS. `weight` is its share of all uses, `reach` the share of licenses that ever
    adopt it, and `delay_days` the mean time until then.
    """

    name: str
    category: str
    launch_day: int
    lowest_plan: int
    weight: float
    reach: float
    delay_days: float


FEATURES = (
    Feature("dashboard", "analysis", 0, 0, 0.24, 1.00, 0),
    Feature("saved_query", "analysis", 0, 0, 0.15, 0.85, 6),
    Feature("report_export", "analysis", 0, 1, 0.11, 0.75, 14),
    Feature("alerts", "automation", 0, 1, 0.08, 0.55, 30),
    Feature("sharing", "collaboration", 0, 0, 0.10, 0.70, 10),
    Feature("comments", "collaboration", 75, 0, 0.08, 0.50, 35),
    Feature("api_tokens", "platform", 0, 2, 0.02, 0.60, 20),
    Feature("integrations", "platform", 150, 2, 0.05, 0.45, 45),
    Feature("scheduled_reports", "automation", 240, 2, 0.04, 0.50, 40),
    Feature("sso", "security", 90, 3, 0.02, 0.70, 30),
    Feature("audit_export", "security", 330, 3, 0.01, 0.40, 60),
    Feature("ai_assistant", "analysis", 430, 2, 0.14, 0.60, 25),
)
"""The first one always exists: it replaces a feature that is not adopted yet."""


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of usage event without a feature, and its share of all events."""

    category: str
    event_type: str
    name: str
    weight: float


LOGIN = Action("auth", "login", "login", 0.0)
LOGOUT = Action("auth", "logout", "logout", 0.0)
FEATURE_USED = "feature_used"
FEATURE_SHARE = 0.935
"""Share of a person's events, except login and logout, that use a feature."""

PERSON_ACTIONS = (
    Action("system", "page_view", "home", 0.030),
    Action("system", "page_view", "settings", 0.012),
    Action("team", "team_action", "member_list_viewed", 0.006),
    Action("team", "team_action", "invitation_sent", 0.003),
    Action("api", "api_console", "request_tried", 0.005),
    Action("billing", "billing_action", "invoice_viewed", 0.004),
    Action("billing", "billing_action", "plans_compared", 0.002),
    Action("license", "license_check", "license_validated", 0.003),
)
VISITOR_ACTIONS = (
    Action("system", "page_view", "pricing", 0.4),
    Action("system", "page_view", "shared_dashboard", 0.6),
)
BACKGROUND_ACTIONS = (
    Action("system", "sync_completed", "warehouse_sync", 0.7),
    Action("license", "license_check", "seats_counted", 0.3),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of the API; times in milliseconds, `spread` as log-normal sigma."""

    method: str
    path: str
    weight: float
    median_ms: float
    spread: float
    success: int
    suffers: bool = False
    launch_day: int = 0


ENDPOINTS = (
    Endpoint("GET", "/v1/dashboards", 18, 45, 0.5, 200),
    Endpoint("GET", "/v1/queries", 14, 60, 0.5, 200),
    Endpoint("POST", "/v1/queries", 8, 120, 0.6, 201),
    Endpoint("GET", "/v1/queries/{id}/results", 16, 180, 0.9, 200, suffers=True),
    Endpoint("POST", "/v1/exports", 4, 420, 0.8, 202, suffers=True),
    Endpoint("GET", "/v1/exports/{id}", 6, 50, 0.5, 200),
    Endpoint("POST", "/v1/events", 15, 25, 0.4, 202),
    Endpoint("GET", "/v1/users", 5, 40, 0.4, 200),
    Endpoint("POST", "/v1/alerts", 2, 70, 0.5, 201),
    Endpoint("PATCH", "/v1/dashboards/{id}", 3, 80, 0.5, 200),
    Endpoint("DELETE", "/v1/dashboards/{id}", 1, 60, 0.5, 204),
    Endpoint("PUT", "/v1/integrations/{id}", 2, 150, 0.7, 200, launch_day=150),
    Endpoint("GET", "/v1/reports", 5, 240, 0.8, 200, suffers=True),
    Endpoint("POST", "/v1/ai/completions", 3, 1_400, 0.7, 200, launch_day=430),
)
"""Affected endpoints depend on the query engine, which fails in the incident."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of error that is logged; an API call's has its endpoint and user."""

    error_type: str
    message: str
    severity: str
    source: str
    weight: float = 0.0
    stack: str | None = None


API_FAULTS: dict[int, Fault] = {
    400: Fault("BadRequest", "The request body is not valid JSON", "info", "api"),
    403: Fault("Forbidden", "The key lacks the scope for this call", "info", "api"),
    404: Fault("NotFound", "There is no such object", "debug", "api"),
    422: Fault("ValidationError", "A field has an unknown value", "info", "api"),
    429: Fault(
        "RateLimitExceeded", "More calls than the plan allows", "warning", "api"
    ),
    500: Fault(
        "InternalError",
        "Unhandled error while serving the request",
        "error",
        "api",
        stack="handler.serve\n  store.load\n    store.decode",
    ),
    502: Fault("BadGateway", "The query engine closed the connection", "error", "api"),
    503: Fault("ServiceUnavailable", "The query engine is down", "critical", "api"),
    504: Fault("UpstreamTimeout", "The query engine did not answer", "critical", "api"),
}
LOGGED_SHARE = {400: 0.5, 403: 0.5, 404: 0.3, 422: 0.5, 429: 0.6}
"""Share of calls with this status that are logged as errors; of 5xx all are."""

CLIENT_FAULTS = (
    Fault("RenderError", "A chart could not be drawn", "error", "web", 0.22),
    Fault("ChunkLoadError", "A part of the page did not load", "warning", "web", 0.30),
    Fault("SlowInteraction", "An interaction took over a second", "info", "web", 0.28),
    Fault(
        "OfflineQueueFull", "Changes wait for a connection", "warning", "mobile", 0.14
    ),
    Fault(
        "CrashReport",
        "The application ended unexpectedly",
        "critical",
        "mobile",
        0.06,
        stack="view.draw\n  chart.layout\n    font.measure",
    ),
)
WORKER_FAULTS = (
    Fault("JobRetried", "A job failed and will run again", "warning", "worker", 0.50),
    Fault("JobFailed", "A job failed for the last time", "error", "worker", 0.15),
    Fault("SlowQuery", "A query took over ten seconds", "info", "worker", 0.20),
    Fault("CacheMiss", "A hot key was not in the cache", "debug", "scheduler", 0.14),
    Fault("DiskAlmostFull", "A volume is 90% full", "critical", "scheduler", 0.01),
)


@dataclass(frozen=True, slots=True)
class Deed:
    """One kind of action in the audit trail that people do in the application."""

    action: str
    resource_type: str
    weight: float
    changes: str = "{}"
    status: str = "success"
    failure_reason: str | None = None


DEEDS = (
    Deed("dashboard.updated", "dashboard", 0.26, '{"layout": ["grid", "flow"]}'),
    Deed("dashboard.created", "dashboard", 0.12),
    Deed("dashboard.deleted", "dashboard", 0.04),
    Deed("query.updated", "query", 0.18, '{"limit": [100, 1000]}'),
    Deed("export.created", "export", 0.12),
    Deed("export.created", "export", 0.01, "{}", "pending"),
    Deed("export.created", "export", 0.01, "{}", "failure", "row limit exceeded"),
    Deed("settings.updated", "settings", 0.08, '{"theme": ["light", "dark"]}'),
    Deed("api_key.created", "api_key", 0.03),
    Deed("api_key.revoked", "api_key", 0.02),
    Deed("member.role_changed", "team_member", 0.03, '{"role": ["member", "admin"]}'),
    Deed("user.login", "user", 0.08),
    Deed("user.login", "user", 0.015, "{}", "failure", "wrong password"),
    Deed("user.login", "user", 0.005, "{}", "failure", "account locked"),
)

USER_AGENTS = (
    "Mozilla/5.0 (compatible; DemoBrowser/4.1; Windows)",
    "Mozilla/5.0 (compatible; DemoBrowser/4.1; macOS)",
    "Mozilla/5.0 (compatible; DemoBrowser/3.8; Linux)",
    "Mozilla/5.0 (compatible; SampleBrowser/12; Windows)",
    "Mozilla/5.0 (compatible; SampleBrowser/12; macOS)",
    "DemoApp/2.4 (phone)",
    "DemoApp/2.4 (tablet)",
)
API_CLIENTS = ("saas-python/1.6", "saas-go/0.9", "saas-node/2.2", "curl/8.9")

CAMPAIGNS: tuple[str | None, ...] = (
    None,
    "spring-launch",
    "newsletter",
    "comparison",
    "tutorial",
    "partner-page",
)

DOCUMENTATION_NETWORKS = ((192, 0, 2), (198, 51, 100), (203, 0, 113))
"""Networks for documentation (RFC 5737); so is 2001:db8::/32 (RFC 3849)."""
ADDRESSES = len(DOCUMENTATION_NETWORKS) * 254 + 254


def address(number: int) -> str:
    """Return an IP address for documentation; one in four is of version 6."""
    number %= ADDRESSES
    if number >= ADDRESSES - 254:
        return f"2001:db8::{number - (ADDRESSES - 255):x}"
    network = DOCUMENTATION_NETWORKS[number // 254]
    return ".".join(map(str, (*network, number % 254 + 1)))
