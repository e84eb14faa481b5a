"""Table 5 of the Gather-Excite paper: CIFAR-10, as published and small enough for a CPU."""
