"""The demo: a believable company, eighteen months of it, in the application's tables.

    customers → stories and billing → accounts → affiliates     (rows, in memory)
              → rhythm (sessions) → usage, api, logs             (arrays, in windows)
              → load                                             (one transaction)

`catalogue` holds the fixed facts, `arguments` what a run may choose.
"""

from bootstrap.demo.load import Summary, load_demo

__all__ = ["Summary", "load_demo"]
