"""mmdet's ResNet with an attention block in every residual unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch import nn

from ge_det.blocks import AttentionBlock
from ge_det.blocks.checks import check_choice

from .attention_config import attention_class, attention_dict, attention_plugins, check_stages
from .frozen_plugins import frozen_plugins, warn_of_frozen_plugins
from .gates_apart import norms_of
from .resnet_arguments import resnet_arguments
from .valid_area_resnet import ValidAreaResNet

if TYPE_CHECKING:
    from ge_det.weights.report import LoadReport


class AttentionResNet(ValidAreaResNet):
    """ResNet-18, 34, 50, 101 or 152 with a gate on the residual branch of every unit.

    The gate stands after the last convolution and its normalisation, before the addition. State
    dict keys are those of mmdet's ResNet with the same block in ``plugins=``, so checkpoints move
    between the two; unlike ``plugins=``, this takes one dict, works for ResNet-18 and 34, gives
    each stage the ``grid`` it needs, and treats new gates apart from pretrained ones:

    A gate that ``pretrained`` (or the backbone's own ``init_cfg``) did not fill is *fresh*. Fresh
    gates learn, and their batch normalisation sees batch statistics, also with ``norm_eval=True``,
    where it would otherwise run on mean 0 and variance 1 for ever. Inside ``frozen_stages`` those
    that start without effect (``preserve_function``) freeze with the trunk, which then runs there
    as a plain one: a gate that learns in a frozen stage makes the backward pass run through all of
    it. ``freeze_gates=False`` lets them learn; those that start otherwise always do. Gates that
    were filled follow the trunk: frozen with their stage, ``norm_eval`` respected. A runner's
    ``load_from`` and ``resume`` change nothing in who learns, and every gate computes what its
    weights say (written through ``.data``, from the next change of mode on). To fine-tune from a
    whole detector with its gates as they are, set ``freeze_gates=True`` and
    ``gate_norm_eval=True``.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        attention (dict | str, optional): Short name of the block, such as ``'sge'``, or its type
            and arguments, such as ``dict(type='ge_det.SpatialGroupEnhance')``. Defaults to None, a
            plain ResNet, as is ``'none'``.
        attention_stages (Sequence[bool]): Which stages carry the block. Defaults to all.
        pretrained (dict | str, optional): Weights to start from: a path, URL or model name, or a
            dict with ``checkpoint``, ``source``, ``preserve_function`` and ``strict`` (see
            :class:`~ge_det.weights.importing.PretrainedOptions`). Imported at ``init_weights``,
            instead of a ``Pretrained`` ``init_cfg``. Defaults to None.
        fused (bool): Allow faster execution of units where it gives the same result within
            rounding; :meth:`execution_plan` tells which. False runs the modules one after
            another. Defaults to True.
        freeze_gates (bool, optional): Whether gates inside ``frozen_stages`` are frozen; those of
            other stages never are. Defaults to None: those that were loaded, or start without
            effect, are.
        gate_norm_eval (bool, optional): Whether batch normalisation inside gates that are not
            frozen runs on its running statistics in training. Defaults to None: as ``norm_eval``
            says for gates that were loaded, never for fresh ones.
        valid_area (bool): Let every gate see a picture of a padded batch by itself: its statistics
            run over the picture's own area, and convolutions of the trunk see zeros beyond, so that
            the picture's features are those that it has alone. The sizes come with
            :meth:`forward`, or under mmdet from ``ge_det.ValidAreaPreprocessor``. Blocks of others,
            and further ``plugins``, see the whole map. Defaults to False.
        stem_pool (str): ``'padded'``, the max pool of torch's ResNets, or ``'ceil'``, Caffe's,
            without padding and rounding sizes up. Defaults to ``'padded'``.
        plugins (list[dict], optional): Further plugins, see mmdet's ResNet. Defaults to None.
        **resnet_kwargs: See mmdet's ResNet. Those by stage default to its first ``num_stages``.

    Attributes:
        load_report (LoadReport | None): What ``pretrained`` loaded, after ``init_weights``.
        out_channels (list[int]): Channels of each map of the output, by ``out_indices``.
        feature_info (list[dict]): Channels (``num_chs``), stride (``reduction``) and name
            (``module``) of each map of the output, as timm's backbones tell them.

    Raises:
        ValueError: If an argument is unknown or not allowed; it names what is.
        CheckpointError: From ``init_weights``, if the weights cannot be read or do not fit.

    Examples:
        >>> backbone = AttentionResNet(50, attention='ge-theta-minus-e8')
        >>> [tuple(f.shape) for f in backbone.eval()(torch.rand(1, 3, 64, 64))]
        [(1, 256, 16, 16), (1, 512, 8, 8), (1, 1024, 4, 4), (1, 2048, 2, 2)]
    """

    def __init__(
        self,
        depth: int,
        attention: dict[str, Any] | str | None = None,
        attention_stages: Sequence[bool] = (True, True, True, True),
        pretrained: dict[str, Any] | str | None = None,
        fused: bool = True,
        valid_area: bool = False,
        *,
        freeze_gates: bool | None = None,
        gate_norm_eval: bool | None = None,
        stem_pool: str = 'padded',
        plugins: list[dict[str, Any]] | None = None,
        num_stages: int = 4,
        frozen_stages: int = -1,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
        **resnet_kwargs: Any,
    ) -> None:
        # Weights stand above the networks that they fill, so they are asked for here.
        from ge_det.weights.gate_coverage import (
            gates_in_checkpoint,
            note_coverage,
            without_pretrained,
        )
        from ge_det.weights.importing import PretrainedOptions

        check_choice('depth', depth, tuple(self.arch_settings))
        resnet_kwargs = resnet_arguments(depth, num_stages, plugins, resnet_kwargs)
        plugins = list(plugins or [])
        check_choice('frozen_stages', frozen_stages, tuple(range(-1, num_stages + 1)))
        check_stages(attention_stages, num_stages)
        check_choice('fused', fused, (True, False))
        check_choice('valid_area', valid_area, (True, False))
        check_choice('freeze_gates', freeze_gates, (None, True, False))
        check_choice('gate_norm_eval', gate_norm_eval, (None, True, False))
        check_choice('stem_pool', stem_pool, ('padded', 'ceil'))
        attention = attention_dict(attention, depth, resnet_kwargs.get('base_channels', 64))
        if attention is not None:
            self._gate_class = attention_class(attention)
            position = 'after_conv2' if depth < 50 else 'after_conv3'
            plugins += attention_plugins(attention, attention_stages, num_stages, position)
        options = PretrainedOptions.parse(pretrained)
        super().__init__(
            depth,
            num_stages=num_stages,
            frozen_stages=frozen_stages,
            plugins=plugins or None,
            init_cfg=init_cfg if options is None else without_pretrained(init_cfg),
            **resnet_kwargs,
        )
        if stem_pool == 'ceil':
            self.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.pretrained = options
        self.load_report: LoadReport | None = None
        self.fused = fused
        if valid_area:
            self.look_at_valid_area()
        self.freeze_gates = freeze_gates
        self.gate_norm_eval = gate_norm_eval
        # Whether the checkpoint loaded last holds each gate, whoever loads it.
        self._covered: dict[str, bool] = {}
        for name, gate in {**self.gates(), **frozen_plugins(self)}.items():
            gate.register_load_state_dict_pre_hook(partial(note_coverage, self._covered, name))
            if isinstance(gate, AttentionBlock):
                gate.may_be_frozen = True
        if get_world_size() > 1 and frozen_stages > 0 and freeze_gates is None:
            self._loaded_gates = gates_in_checkpoint(self.gates(), options, self.init_cfg)
            if options is not None and options.preserve_function:
                fresh = self.gates().keys() - self._loaded_gates
                self._without_effect = self._can_be_preserved(fresh)
        self._freeze_stages()

    def init_weights(self) -> None:
        """Initialise, then import ``pretrained``, then settle which gates are fresh."""
        from ge_det.weights.importing import import_pretrained
        from ge_det.weights.report import log_report

        if self.is_init:
            super().init_weights()  # MMEngine only warns then.
            return
        gates = self.gates()
        self._covered.clear()
        super().init_weights()
        forecast = self._frozen_gates()
        if self.pretrained is not None:
            self.load_report = import_pretrained(self, **asdict(self.pretrained))
            log_report(self.load_report)
        else:
            self.settle_gates([name for name in gates if self._covered.get(name)])
        if get_world_size() > 1:
            self.settle_gates(self._loaded_gates, self._without_effect.intersection(forecast))
            if forecast != self._frozen_gates():
                raise RuntimeError(
                    'which gates freeze with their stage was not known before the model was '
                    'wrapped for several GPUs; set freeze_gates=True or False in the backbone'
                )
        self._log_gates(gates)
        warn_of_frozen_plugins(self, self._covered)

    def _log_gates(self, gates: dict[str, nn.Module]) -> None:
        if not any(list(gate.parameters()) for gate in gates.values()):
            return
        fresh = [name for name in gates if name not in self._loaded_gates]
        told = f'{len(fresh)} of {len(gates)} gates start untrained'
        if fresh:
            told += ' (this training learns them; --resume and load_from bring theirs along)'
        frozen = self._frozen_gates()
        if idle := self._without_effect.intersection(frozen):
            told += (
                f'; {len(idle)} in frozen stages stay without effect '
                '(freeze_gates=False lets them learn)'
            )
        if len(frozen) > len(idle):
            told += f'; {len(frozen) - len(idle)} are frozen as loaded'
        if kept := [n for n, gate in gates.items() if norms_of(gate) and self._norm_eval_of(n)]:
            told += f'; {len(kept)} keep the statistics of their batch normalisation as they are'
        print_log(f'AttentionResNet: {told}', logger='current')
