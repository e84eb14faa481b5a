"""One training and its test: how they start, end, resume and are paired with others."""
