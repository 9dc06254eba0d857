"""Refresh the marts without dbt, all of them in one snapshot."""
