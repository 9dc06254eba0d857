"""The cost of change capture for writers, and its benefit for a refresh."""
