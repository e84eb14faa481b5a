"""What a matrix file says, and the cells that come of it, resolved."""
