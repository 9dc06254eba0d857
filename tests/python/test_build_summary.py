"""What `saas build` prints of a build, from dbt's results."""

from __future__ import annotations

from types import SimpleNamespace

from saas_analytics.dbt import summary


def result(
    kind: str, folder: str, status: str, failures: int = 0, stored: bool = False
) -> SimpleNamespace:
    """One of dbt's results: a step that took a second."""
    return SimpleNamespace(
        node=SimpleNamespace(
            resource_type=kind,
            fqn=["saas_analytics", folder, "it"],
            name="positive",
            schema="failures",
            alias="it",
            config=SimpleNamespace(store_failures=stored),
        ),
        status=status,
        failures=failures,
        execution_time=1.0,
    )


RESULTS = [
    result("test", "marts", "pass"),
    result("model", "marts", "success"),
    result("test", "integrity", "warn", 1200, stored=True),
    result("test", "marts", "fail", 1),
    result("seed", "plans", "success"),
    result("model", "marts", "error"),
    result("model", "an_extra_folder", "success"),
]


def test_each_group_of_steps_has_a_line_with_how_many_ended_how() -> None:
    assert [line.split() for line in summary.groups(RESULTS)] == [
        ["seeds", "1.0", "s", "1", "success"],
        ["marts", "2.0", "s", "1", "success,", "1", "error"],
        ["an_extra_folder", "1.0", "s", "1", "success"],
        ["data", "tests", "3.0", "s", "1", "pass,", "1", "warn,", "1", "fail"],
    ]


def test_each_finding_has_its_rows_and_what_shows_them() -> None:
    assert summary.findings(RESULTS, "warn") == [
        "    positive: 1,200 rows, `select * from failures.it`"
    ]
    assert summary.findings(RESULTS, "fail") == [
        "    positive: 1 row, `saas dbt show --select positive`"
    ]
