"""Run the command."""

from expectations.cli import main

main()
