"""Filters of dbt-score's rules, which pyproject.toml names."""

# The file's name must not begin with dbt_: dbt would import it as a plugin.

from dbt_score import Macro, Model, rule_filter

# Macros that dbt calls: engine-specific macros, tests, materializations.
CALLED_BY_DBT = ("default__", "postgres__", "test_", "materialization_")


@rule_filter
def is_public(model: Model) -> bool:
    """Models for queries: the marts."""
    return bool(model.config.get("access") == "public")


@rule_filter
def is_for_models(macro: Macro) -> bool:
    """Macros that models call."""
    return not macro.name.startswith(CALLED_BY_DBT) and not (
        macro.original_file_path.startswith("macros/adapter/")
    )
