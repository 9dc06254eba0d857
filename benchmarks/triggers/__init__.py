"""The cost of an affiliate's counters per commission."""
