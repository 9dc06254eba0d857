"""The effect of runs on readers of the marts."""
