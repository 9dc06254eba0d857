"""What the event tables cost to write and to read, beside the plain design."""
