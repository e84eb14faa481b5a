"""One table of docs/reliability.md a module: ``run(place) -> Table``."""
