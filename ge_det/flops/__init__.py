"""Parameters and FLOPs of a config's network, with those of the gates counted in full."""
