"""Rounds of random writes, accidents and refreshes, each compared with a rebuild."""
