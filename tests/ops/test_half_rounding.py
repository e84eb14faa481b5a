"""In half precision the end of a unit rounds once, however far features are from zero."""

import pytest
import torch

from ge_det.ops.gated_residual import gated_residual


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('shape', [(2, 6, 1, 1), (2, 6, 3, 2), (2, 3, 11, 9)])
def test_what_scale_and_shift_leave_of_each_other_is_kept(shape, dtype):
    y = (torch.randn(2, 6, 11, 9) + 100).to(dtype)
    identity = torch.randn(2, 6, 11, 9).to(dtype)
    gate = torch.rand(shape)
    scale = torch.rand(6) + 0.5
    shift = -100 * scale
    every = gate.double().repeat_interleave(6 // shape[1], 1)
    rows, columns = (
        torch.arange(n) * cells // n for n, cells in zip((11, 9), shape[2:], strict=True)
    )
    z = scale.double().view(6, 1, 1) * y.double() + shift.double().view(6, 1, 1)
    expected = torch.relu(identity.double() + every[:, :, rows][..., columns] * z)
    out = gated_residual(y, identity, gate, scale, shift)
    ulp = torch.finfo(dtype).eps
    torch.testing.assert_close(out.double(), expected, rtol=0.51 * ulp, atol=1e-4)
