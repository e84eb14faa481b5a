"""Parameters and FLOPs, with those of the gates, beside the published ones."""
