"""Read a file of weights without trusting it: plain data comes out of it, or one line."""
