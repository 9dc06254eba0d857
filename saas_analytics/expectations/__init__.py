"""Checks of marts and source that need other days or earlier runs as a comparison."""

import os

# Great Expectations reads this at import; otherwise it sends usage statistics.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
