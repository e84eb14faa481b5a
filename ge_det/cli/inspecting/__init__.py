"""What `ge-det inspect` is made of: its pictures, its network, and the sections of its page."""
