"""Hooks of MMEngine."""

from .channels_last import ChannelsLast

__all__ = ['ChannelsLast']
