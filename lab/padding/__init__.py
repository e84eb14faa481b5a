"""What padding in a batch does to features and detections, with ``valid_area`` and without."""
