"""What ge_det does with bad input and bad luck, tried and counted: docs/reliability.md."""
