"""dbt, run with the settings of the project."""
