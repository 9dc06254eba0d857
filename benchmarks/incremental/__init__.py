"""The cost of a refresh, compared with the usual ways to update marts."""
