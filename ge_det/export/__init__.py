"""Backbones and detectors as ONNX files, which run without Python."""
