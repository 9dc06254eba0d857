"""What the YAML next to the models has to say of each mart and of each source."""

from collections.abc import Iterator
from typing import Any

import yaml

from tests.python.support import ROOT, Database

MARTS: dict[str, dict[str, Any]] = {
    mart["name"]: mart
    for file in sorted((ROOT / "models" / "marts").rglob("*.yml"))
    for mart in yaml.safe_load(file.read_text())["models"]
}
SOURCES: dict[str, dict[str, Any]] = {
    table["name"]: table
    for source in yaml.safe_load((ROOT / "models/staging/_sources.yml").read_text())[
        "sources"
    ]
    for table in source["tables"]
}
# Tests that a wrong amount makes fail.
OF_AMOUNTS = {"accepted_range", "accepted_total", "expression_is_true", "not_negative"}


def data_tests(owner: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and arguments of the tests that stand with a model or a column."""
    for test in owner.get("data_tests", ()):
        if isinstance(test, str):
            yield test, {}
        else:
            for name, properties in test.items():
                # A test may have a name of its own next to its arguments.
                if isinstance(properties, dict):
                    yield name, properties.get("arguments", {})


def keys(mart: dict[str, Any]) -> list[set[str]]:
    """The columns that a test makes sure of naming one row each."""
    columns = [
        {column["name"]}
        for column in mart["columns"]
        if "primary_key" in dict(data_tests(column))
    ]
    groups = [
        set(arguments["columns"])
        for name, arguments in data_tests(mart)
        if name == "unique_grain"
    ]
    return columns + groups


def untested(mart: dict[str, Any]) -> list[str]:
    """What a mart lacks: a test of its key, and tests of amounts."""
    names = {column["name"] for column in mart["columns"]}
    missing = [] if [key for key in keys(mart) if key <= names] else ["key"]
    for column in mart["columns"]:
        if column["name"].endswith("_cents"):
            tests = [
                name
                for name, arguments in data_tests(column)
                if name in OF_AMOUNTS
                and column["name"] in arguments.get("expression", column["name"])
            ]
            filled = {"type": "not_null"} in column.get("constraints", ())
            if not (tests and filled):
                missing.append(column["name"])
    return missing


def test_every_key_and_every_amount_of_a_mart_has_a_test() -> None:
    assert {name: untested(mart) for name, mart in MARTS.items()} == {
        name: [] for name in MARTS
    }
    assert len(MARTS) == len(list((ROOT / "models" / "marts").rglob("*.sql")))


def test_the_columns_of_the_sources_are_those_of_the_database(
    database: Database,
) -> None:
    live = database.execute(
        "select attrelid::regclass::text, attname, format_type(atttypid, atttypmod)"
        " from pg_attribute"
        " where attrelid = any(%s::regclass[]) and attnum > 0 and not attisdropped",
        [list(SOURCES)],
    )
    described = {
        (name, column["name"], column["data_type"])
        for name, table in SOURCES.items()
        for column in table["columns"]
    }
    assert described == set(live)
