"""Bring the marts up to date without dbt: all of them in one snapshot."""
