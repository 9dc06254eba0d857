"""The screen after a build: what the marts say, and where to look next."""

from psycopg2.extensions import connection as Connection
from rich.console import Console

from bootstrap.settings import Settings


def show(connection: Connection, settings: Settings, console: Console) -> None:
    """Print it."""
    console.print("Every mart is built.")
