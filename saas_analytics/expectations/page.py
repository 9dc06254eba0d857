"""The result page: one file that opens without a network, beside dbt's in target/."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from saas_analytics import project, settings
from saas_analytics.expectations.judge import Verdict
from saas_analytics.expectations.suites import Suite
from saas_analytics.output import plain

TEMPLATE = Path(__file__).with_name("page.html")


def _harmless(value: object) -> object:
    """A text of the template or of the database, its lines kept."""
    if type(value) is not str:
        return value
    return "\n".join(map(plain, value.split("\n")))


def write(
    suites: Mapping[str, Suite], verdicts: Mapping[str, Sequence[Verdict]]
) -> Path:
    """Write the page over the last one. Returns where it is."""
    environment = jinja2.Environment(
        autoescape=True,
        # Characters that direct or hide text would mislead a reader here, too.
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(
        suites=suites,
        verdicts=verdicts,
        broken=[
            (suites[name], verdict)
            for severity in ("error", "warn")
            for name, of_suite in verdicts.items()
            for verdict in of_suite
            if verdict.state == "broken" and verdict.promise.severity == severity
        ],
        states=[
            verdict.state for of_suite in verdicts.values() for verdict in of_suite
        ],
        time=dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )
    # dbt's folder, wherever it is.
    folder = settings.environment().get("DBT_TARGET_PATH", "target")
    path = project.root() / folder / "expectations.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    # A reader never sees half of it.
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)
