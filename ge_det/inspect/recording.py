"""See what every gate sees and what it answers, while a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock

from .gates import answering_method, named_gates

Watch = Callable[[str, Tensor, Tensor], None]
"""Is called with the name of a gate, its input (N, C, H, W) and its coarse gate (N, G, h, w)."""


@contextmanager
def record_gates(model: nn.Module, watch: Watch) -> Iterator[None]:
    """Call ``watch`` whenever a gate of the network runs, and leave what the network computes.

    Units with a gate run their modules one after another meanwhile, as ``execution_plan`` says, and
    what ``torch.compile`` made runs without it. Nothing is kept here.

    Args:
        model (nn.Module): Any network with gates; see :func:`named_gates`.
        watch (Callable): Takes the gate's name, its input (N, C, H, W) and its coarse gate, both
            detached and not to be changed. The gate is (N, G, h, w) as of
            :meth:`AttentionBlock.coarse_gate`, or what ``gate`` gives of a block that has its own.

    Yields:
        None: Within the ``with``, gates are recorded; after it, the network is as it was.

    Examples:
        >>> with record_gates(network, lambda name, x, gate: print(name, gate.mean())):
        ...     network(images)
    """
    with ExitStack() as undo:
        for name, gate in named_gates(model).items():
            undo.enter_context(_recorded(gate, name, watch))
        undo.enter_context(torch.compiler.set_stance('force_eager'))
        yield


@contextmanager
def _recorded(block: AttentionBlock, name: str, watch: Watch) -> Iterator[None]:
    """A gate that tells: its own answer is taken, since another call may move its statistics."""
    latest: list[Tensor] = []

    def keeping(answer: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def answer_and_keep(*inputs: Any) -> Tensor:
            gate = answer(*inputs)
            latest[:] = [gate.detach()]
            return gate

        return answer_and_keep

    def tell(block: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x = inputs[0].detach()
        with torch.no_grad():
            gate = latest.pop() if latest else block.gate(x)  # Of a forward that does not ask it.
            watch(name, x, gate.expand(len(x), -1, -1, -1))
        latest.clear()  # `watch` may have asked the gate too.

    # A user's own forward may ask the method itself; `answer` may ask it for each picture, and
    # comes last.
    patched: dict[str, Any] = {
        key: keeping(getattr(block, key)) for key in (answering_method(block), 'answer')
    }
    patched['unfused_because'] = 'its gate is recorded'
    before = {key: vars(block)[key] for key in patched if key in vars(block)}
    hook = block.register_forward_hook(tell)
    vars(block).update(patched)
    try:
        yield
    finally:
        hook.remove()
        for key in patched:
            del vars(block)[key]
        vars(block).update(before)
