"""All marts are as of one time: a run, or a test, of another one is refused by name."""

from __future__ import annotations

import psycopg2
import pytest

from tests.python.support import Database, DbtProject
from tests.python.workload import SCHEMA, refresh

MARCH = "2026-03-31T23:59:59Z"
AS_OF = ("--vars", f"{{as_of: {MARCH}}}")
MART = ("--select", "fct_mrr_monthly")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    return DbtProject.copy(tmp_path_factory.mktemp("as_of"), domains=("revenue",))


def test_marts_are_never_as_of_two_times(marts: Database, project: DbtProject) -> None:
    part = project.dbt("run", *MART, *AS_OF, database=marts)
    assert f"The marts are as of now, and this run as of {MARCH} leaves" in part
    assert "or leave as_of out" in part

    assert project.dbt("run", *AS_OF, database=marts) == ""
    refresh(marts)
    later = project.dbt("run", *MART, database=marts)
    assert f"The marts are as of {MARCH}, and this run as of now leaves" in later
    assert f"or set as_of to {MARCH}" in later
    tested = project.dbt("test", *MART, database=marts)
    assert "would test them" in tested

    # As a build leaves them that was stopped halfway.
    marts.execute(
        f"update {SCHEMA}.models set as_of = 'now' where model = 'fct_mrr_monthly'"
    )
    with pytest.raises(
        psycopg2.errors.RaiseException, match=f"the marts are as of {MARCH} and now"
    ):
        refresh(marts)

    assert project.dbt("run", database=marts) == ""
    refresh(marts)


def test_a_model_without_a_present_is_of_no_time(
    marts: Database, project: DbtProject
) -> None:
    named = dict(marts.execute(f"select model, as_of from {SCHEMA}.models"))
    assert named["fct_revenue_monthly"] == ""
    assert named["fct_mrr_monthly"] == "now"
