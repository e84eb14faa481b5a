"""The result of a finished cell: what it holds, and what the logs say."""
