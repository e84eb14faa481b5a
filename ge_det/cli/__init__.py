"""The commands of ``ge-det``."""
