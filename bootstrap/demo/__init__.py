"""Demo data: a plausible company with 18 months of history, in the OLTP tables.

    customers → stories and billing → accounts → affiliates     (rows, in memory)
              → rhythm (sessions) → usage, api, logs             (arrays, in windows)
              → load                                             (one transaction)

`catalogue` holds the fixed facts, `arguments` the options of a run.
"""

from bootstrap.demo.load import Summary, load_demo

__all__ = ["Summary", "load_demo"]
