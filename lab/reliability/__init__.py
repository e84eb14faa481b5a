"""How often it holds: hostile files, mutated data, kills, and bad luck."""
