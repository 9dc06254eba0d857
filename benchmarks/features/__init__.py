"""What a refresh costs by the number of features."""
