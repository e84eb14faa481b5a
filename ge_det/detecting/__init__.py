"""Detectors on single pictures."""
