"""What ``ge-det infer`` does: find pictures, detect, draw, list."""
