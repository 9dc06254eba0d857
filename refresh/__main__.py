"""`python -m refresh`: the same as `saas refresh`."""

import sys

from saas_analytics.command.main import main

main(["refresh", *sys.argv[1:]], prog_name="python -m")
