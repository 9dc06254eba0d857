"""Every command by group, with its module, which is imported on demand.

Only this module of the package names `bootstrap`, which itself imports the package.
"""

from importlib import import_module

import click

GROUPS = {
    "Server": {
        "up": "saas_analytics.command.server:up",
        "down": "saas_analytics.command.server:down",
        "psql": "saas_analytics.command.server:psql",
        "url": "saas_analytics.command.server:url",
        "env": "saas_analytics.command.server:env",
    },
    "Source tables": {
        "migrate": "bootstrap.commands.schema:migrate",
        "rollback": "bootstrap.commands.schema:rollback",
        "stamp": "bootstrap.commands.schema:stamp",
        "status": "bootstrap.commands.schema:status",
        "roles": "bootstrap.commands.upkeep:roles",
        "partitions": "bootstrap.commands.upkeep:partitions",
        "capture": "bootstrap.commands.upkeep:capture",
        "retype": "bootstrap.commands.upkeep:retype",
        "erase-user": "bootstrap.commands.upkeep:erase_user",
    },
    "Demo company": {
        "demo": "bootstrap.commands.company:demo",
        "tour": "saas_analytics.command.marts:tour",
    },
    "Marts": {
        "build": "saas_analytics.command.marts:build",
        "refresh": "saas_analytics.refresh.command:refresh",
        "freshness": "saas_analytics.command.marts:freshness",
        "docs": "saas_analytics.command.marts:docs",
        "dbt": "saas_analytics.command.marts:dbt",
    },
    "Quality": {
        "expectations": "saas_analytics.expectations.command:expectations",
        "audit": "saas_analytics.audit:audit",
    },
}


class Map(click.Group):
    """A click group that imports commands on demand, and lists them by group."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return [name for commands in GROUPS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        for commands in GROUPS.values():
            if place := commands.get(cmd_name):
                module, _, name = place.partition(":")
                command = getattr(import_module(module), name)
                assert isinstance(command, click.Command)
                return command
        return None

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write each group with its commands and their short help."""
        width = max(map(len, self.list_commands(ctx)))
        for group, commands in GROUPS.items():
            lines = []
            for name in commands:
                command = self.get_command(ctx, name)
                assert command is not None
                lines.append((name.ljust(width), command.get_short_help_str(limit=80)))
            with formatter.section(group):
                formatter.write_dl(lines)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. Ctrl-C is handled here, because click prints a blank line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None
