"""Run the cells of a matrix: where they lie, what is left of them, and who runs them."""
