"""Published costs beside our counts."""
