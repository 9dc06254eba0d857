"""What readers of the marts notice of the runs that keep them."""
