"""The commands of the project, and the settings, connections and errors they share."""

__version__ = "0.1.0"
