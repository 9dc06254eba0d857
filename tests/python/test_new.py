"""`saas new` writes files that are complete as they are, or none."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.mutation import faults
from tests.python.support import ROOT, environment, refusal
from tests.python.test_how_to import checkout
from tests.python.test_properties import untested

MART = ("mart", "fct_logins_daily", "--domain", "usage", "--reads", "stg_saas__users")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, to which the tests of this module add."""
    return checkout(tmp_path_factory.mktemp("new"))


def new(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "saas_analytics", "new", *arguments],
        cwd=root,
        env=environment(PYTHONPATH=str(root)),
        capture_output=True,
        text=True,
        check=False,
    )


def contents(root: Path) -> dict[Path, str]:
    return {
        path: path.read_text("utf-8")
        for folder in ("models", "bootstrap", "tests")
        for path in (root / folder).rglob("*.*")
        if path.suffix in (".sql", ".yml", ".py")
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("mart", "logins", *MART[2:]),
            "logins is not a valid name: give fct_… or dim_",
        ),
        (("mart", "fct_" + "x" * 60, *MART[2:]), "give a name of at most 50"),
        (("mart", "fct_usage_daily", *MART[2:]), "fct_usage_daily is in models/marts/"),
        ((*MART[:3], "sales", *MART[4:]), "no domain sales: give --domain one of adop"),
        (
            (*MART[:5], "stg_saas__sales"),
            "no staging view stg_saas__sales: give --read",
        ),
        (("event-table", "usage_events"), "usage_events is in models/staging/_sources"),
        (("event-table", "Tickets"), "Tickets is not a valid name: give a table, as"),
        (("column", "sales.country", "text"), "no table sales in models/staging/_sour"),
        (
            ("column", "users.email", "text"),
            "users.email is in models/staging/_sources",
        ),
        (
            ("column", "users", "text"),
            "is not a valid name: give TABLE.COLUMN, as users.",
        ),
        (("migration", "analytics"), "there is a migration 003_analytics already"),
        (("migration", "x" * 29), "give a name of at most 28"),
    ],
)
def test_what_can_not_be_written_is_refused_in_one_line_and_nothing_is_written(
    root: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    before = contents(root)
    assert complaint in refusal(new(root, *arguments))
    assert contents(root) == before


@pytest.mark.parametrize("name", ["fct_logins_daily", "dim_logins"])
def test_a_mart_as_it_is_written_has_what_the_tests_ask_for(
    root: Path, name: str
) -> None:
    done = new(root, "mart", name, *MART[2:])
    assert done.returncode == 0, done.stderr
    file = root / f"models/marts/usage/{name}.yml"
    (mart,) = yaml.safe_load(file.read_text())["models"]
    assert untested(mart) == []
    select = file.with_suffix(".sql").read_text()
    assert max(map(len, select.splitlines())) <= 88
    assert [
        fault
        for fault in yaml.safe_load((root / "tests/mutation/faults.yml").read_text())
        if fault.get("file", "").endswith(f"/{name}.sql")
        and select.count(fault["find"]) == 1
    ]
    exposures = yaml.safe_load((root / "models/exposures.yml").read_text())
    assert exposures["exposures"][-1]["depends_on"] == [f"ref('{name}')"]
    assert faults.load()
    assert f"{name} is in models/marts/usage" in refusal(
        new(root, "mart", name, *MART[2:])
    )
    assert (ROOT / "models/marts/usage" / f"{name}.sql").exists() is False


def test_each_migration_that_is_written_has_the_next_number(root: Path) -> None:
    for number, name in ((10, "one"), (11, "two")):
        assert new(root, "migration", name).returncode == 0
        text = (
            root / f"bootstrap/migrations/versions/{number:03}_{name}.py"
        ).read_text()
        assert f'revision = "{number:03}_{name}"' in text
    assert 'down_revision = "010_one"' in text
