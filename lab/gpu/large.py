"""Maps of more than 2^31 elements: the last image must be what it is alone, bit for bit.

But for the gradient of a gate of channels: torch adds up the parts of a few images in another order
than those of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ge_det.ops.triton_tools.runtime import load
from lab.gpu.telling import arguments, guarded, seconds, tell


def is_same(together: Tensor, alone: Tensor) -> bool:
    """Whether the last image is what it is alone."""
    if together.shape[2:] == (1, 1):
        return torch.allclose(together[-1:], alone, rtol=1e-2, atol=1)
    return torch.equal(together[-1:], alone)


def check(name: str, call: Callable[..., Sequence[Tensor]], batched: Sequence[Tensor]) -> None:
    """Call with all images and with the last; what comes out must agree in the last."""
    with guarded(name):
        together = call(*batched)
        alone = call(*(x[-1:] for x in batched))
        same = [is_same(a, b) for a, b in zip(together, alone, strict=True)]
        size = batched[0].numel() / 2**31
        line = f'{name}, {size:.2f} * 2^31 elements: {"as alone" if all(same) else same}'
        tell(name, line, all(same))


def main() -> None:
    """The gated residual with each kind of gate, the window mean, the similarity gate."""
    args = arguments(__doc__).parse_args()
    n, c, h, w = (2, 8, 6, 10) if args.tiny else (5, 256, 1312, 1344)
    device = args.device
    torch.manual_seed(0)
    forward, backward = load('gated_residual.forward'), load('gated_residual.backward')
    mean, mean_backward = load('window_mean.forward'), load('window_mean.backward')
    scale, shift = torch.randn(2, c, device=device)
    shapes = dict(channel=(c, 1, 1), cells=(c, -(-h // 8), -(-w // 8)), full=(c // 4, h, w))

    def gated(y: Tensor, gate: Tensor) -> list[Tensor]:
        out = forward(y, y, gate, scale, shift)
        return [out, *backward(y, out, y, gate, scale, shift)[:3]]

    def window(y: Tensor) -> list[Tensor]:
        pooled = mean(y, 8)
        return [pooled, mean_backward(pooled, (h, w), 8, y.dtype)]

    for last in (False, True):
        order = torch.channels_last if last else torch.contiguous_format
        y = torch.empty((n, c, h, w), device=device, dtype=torch.float16, memory_format=order)
        for image in y:
            image.copy_(torch.randn(c, h, w, device=device))
        suffix = ', channels_last' if last else ''
        for kind, shape in shapes.items():
            if seconds() > args.limit:
                tell(kind, f'no time for a gate of {kind}{suffix}', ok=False)
                continue
            gate = torch.rand((n, *shape), device=device).half()
            check(f'gate of {kind}{suffix}', gated, [y, gate])
        check(f'window mean{suffix}', window, [y])
        del y
    s = torch.empty((2, 4, 50) if args.tiny else (36, 64, 1_000_000), device=device)
    for image in s:
        image.normal_()
    v = torch.rand(s.shape[1], device=device)

    def similarity(s: Tensor) -> list[Tensor]:
        gate, mean, std = load('spatial_group_enhance.forward')(s, v, v, 1e-5)
        grad = load('spatial_group_enhance.backward')(s, gate, s, mean, std, v, 1e-5)[0]
        return [gate, mean, std, grad]

    check('similarity gate', similarity, [s])


if __name__ == '__main__':
    main()
