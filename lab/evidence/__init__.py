"""Run experiments, measure them with pycocotools, and show the result."""
