"""The laboratory: measures the product, and is never installed with it."""
