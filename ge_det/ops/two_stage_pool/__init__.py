"""Two-stage pooling for SE (Jin et al.): spatial pyramid (SP-SE) and resolution guided (RG-SE)."""

from .eager import pool_pyramid, pool_to_grid

__all__ = ['pool_pyramid', 'pool_to_grid']
