"""Everything before dbt: settings, the embedded server, migrations, roles, the demo."""
