"""Many rounds of writes, accidents and refreshes, each compared with a rebuild."""
