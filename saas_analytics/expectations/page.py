"""The result page: one HTML file that needs no network, in dbt's target folder."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from saas_analytics import project, settings
from saas_analytics.expectations.evaluate import CheckResult
from saas_analytics.expectations.suites import Suite
from saas_analytics.output import plain

TEMPLATE = Path(__file__).with_name("page.html")


def _harmless(value: object) -> object:
    """Replace control characters in a text of the template or database, except \n."""
    if type(value) is not str:
        return value
    return "\n".join(map(plain, value.split("\n")))


def write(
    suites: Mapping[str, Suite], results: Mapping[str, Sequence[CheckResult]]
) -> Path:
    """Replace the page. Returns its path."""
    environment = jinja2.Environment(
        autoescape=True,
        # Characters that reorder or hide text would mislead the reader.
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(
        suites=suites,
        results=results,
        failed=[
            (suites[name], result)
            for severity in ("error", "warn")
            for name, of_suite in results.items()
            for result in of_suite
            if result.state == "failed" and result.check.severity == severity
        ],
        states=[result.state for of_suite in results.values() for result in of_suite],
        time=dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )
    folder = settings.environment().get("DBT_TARGET_PATH", "target")
    path = project.root() / folder / "expectations.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    # A rename replaces the page at once: no reader sees an incomplete one.
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)
