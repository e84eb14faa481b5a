"""A detector, its pictures and its training, chosen for a user's photos and machine."""

from .choosing import Choice, Recipe, choose

__all__ = ['Choice', 'Recipe', 'choose']
