"""Promises about the marts and the source that a test of single rows can't judge."""

import os

# Great Expectations phones home unless told not to before it is imported.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
