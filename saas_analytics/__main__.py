"""`python -m saas_analytics`: the same as `saas`."""

from saas_analytics.command.main import main

main()
