"""Which block is ahead on the user's own data, and whether that is more than the noise."""
