"""Of what dbt-score asks what: named by the rules in pyproject.toml."""

# dbt would import a file called dbt_… from this folder, as a plugin of its own.

from dbt_score import Macro, Model, rule_filter

# What dbt itself calls: a macro for one engine, a test, a way to make a table.
CALLED_BY_DBT = ("default__", "postgres__", "test_", "materialization_")


@rule_filter
def is_public(model: Model) -> bool:
    """Models that others may query: the marts."""
    return bool(model.config.get("access") == "public")


@rule_filter
def is_for_models(macro: Macro) -> bool:
    """Macros that models are written with."""
    return not macro.name.startswith(CALLED_BY_DBT) and not (
        macro.original_file_path.startswith("macros/adapter/")
    )
