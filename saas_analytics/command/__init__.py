"""The command `saas`."""
