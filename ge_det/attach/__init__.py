"""Attention in other people's networks: a gate in every residual unit, put in and taken out."""
