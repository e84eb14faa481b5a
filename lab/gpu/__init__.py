"""The check of the GPU code on a bare machine: see README.md."""
