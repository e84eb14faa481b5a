"""Warnings of the stack that tell a user of ge_det nothing."""

from __future__ import annotations

import warnings


def ignore_known_warnings() -> None:
    """Hide them in this process."""
    # MMEngine's own use of it, on every config; setuptools is pinned where it still works.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
