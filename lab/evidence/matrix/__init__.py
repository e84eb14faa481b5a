"""A matrix of experiments: its file, its cells, how one cell runs, and what it leaves."""
