"""Run the commands."""

from refresh.cli import main

main()
