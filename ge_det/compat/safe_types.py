"""Types MMEngine's own checkpoints hold, made known to torch's safe loader.

From torch 2.6 on ``torch.load`` refuses every global it does not know, and so refuses the
checkpoints MMEngine writes (its log buffers and numpy scalars), on resume and on test. Registering
these few types keeps loading safe; ``weights_only=False`` would let a file run code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer


def _getattr_of_history_buffer(owner: Any, name: str) -> Any:
    """Stand-in for ``getattr`` in a pickle: only HistoryBuffer's statistics.

    A pickled HistoryBuffer refers to its methods through ``builtins.getattr``. Trusting the real
    one would let a checkpoint walk from any known type to any of its attributes.
    """
    if owner is HistoryBuffer and name in ('mean', 'max', 'min', 'current'):
        return getattr(owner, name)
    raise ValueError(f'a checkpoint may not read attribute {name!r} of {owner!r}')


def _numpy_function(name: str) -> Callable[..., Any]:
    """A function pickled arrays and scalars name, found without numpy's private module."""
    for value in (np.zeros(1), np.float64(0)):
        function: Any = value.__reduce__()[0]
        if function.__name__ == name:
            return function
    raise ImportError(f'this numpy pickles without {name!r}')


def register_safe_types() -> None:
    """Allow ``torch.load(..., weights_only=True)`` to read MMEngine's checkpoints.

    Calling it again changes nothing.
    """
    dtypes = {type(np.dtype(code)) for code in ('f8', 'f4', 'f2', 'i8', 'i4', 'i2', 'u1', '?')}
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_getattr_of_history_buffer, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *dtypes,
            # Under both names: numpy 1 and 2 read each other's checkpoints.
            *(
                (function, f'numpy.{module}.multiarray.{function.__name__}')
                for function in (_numpy_function('_reconstruct'), _numpy_function('scalar'))
                for module in ('core', '_core')
            ),
        ]
    )
