"""Triton's interpreter, which runs the kernels on a CPU."""

import sys

import pytest
import torch

from ge_det.ops.triton_tools import runtime

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def import_triton(define=lambda: None):
    """Import the kernels, and define more; None, or why the kernels cannot run here.

    To be called while tests are collected, and not in a fixture: triton decides for its interpreter
    when it is imported, so this must be the first to import it. On a GPU kernels are compiled.
    """
    if DEVICE == 'cpu' and 'triton' in sys.modules and not runtime._interpreted():
        return 'triton was imported without its interpreter before; run this file alone'
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == 'cpu':
            patch.setenv('TRITON_INTERPRET', '1')
        try:
            for operator in ('gated_residual', 'window_mean', 'spatial_group_enhance'):
                runtime.load(f'{operator}.forward')
            define()
        except ImportError as error:
            return f'triton does not import: {error}'
    return None
