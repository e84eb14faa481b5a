"""What the results of cells say: gains over the paired baseline, their intervals, the noise."""
