"""What change capture costs the application that writes, and what it buys a run."""
