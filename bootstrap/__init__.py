"""Everything between an empty server and a schema with data."""
