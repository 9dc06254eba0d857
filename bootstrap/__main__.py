"""`python -m bootstrap`: the same as `saas`."""

from saas_analytics.command.main import main

main(prog_name="python -m bootstrap")
