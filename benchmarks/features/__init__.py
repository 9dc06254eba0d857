"""The cost of a refresh by the number of features."""
