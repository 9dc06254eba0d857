"""From an empty server to a schema with data: migrations, roles, partitions, demo."""
