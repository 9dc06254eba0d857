"""What a refresh of the marts costs, beside the usual ways to keep them."""
