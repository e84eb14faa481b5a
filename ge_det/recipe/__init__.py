"""A detector, its pictures and its training, chosen for a user's photos and machine."""

from .choosing import Recipe, choose
from .told import Choice

__all__ = ['Choice', 'Recipe', 'choose']
