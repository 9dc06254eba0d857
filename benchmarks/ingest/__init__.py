"""The cost of writes and reads of the event tables, compared with plain tables."""
