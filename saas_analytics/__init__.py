"""The commands of the project, and what they share: settings, database, errors."""

__version__ = "0.1.0"
