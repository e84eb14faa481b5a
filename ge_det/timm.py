"""The ResNets of timm with a block in every residual unit, under names of timm.

After ``import ge_det.timm``, ``timm.create_model('resnet50_sge')`` knows every block of the
catalogue, with ``_`` for ``-``, at every depth: ``resnet18_se``, ``resnet101_ge_theta_e8``. timm
has no entry point for plugins, so the import is needed.

The trunk is timm's own, and so is what its arguments do: ``features_only``, ``out_indices``,
``num_classes``, ``in_chans``, ``output_stride``, tags such as ``resnet50_sge.a1_in1k``. With
``pretrained=True`` it starts from timm's plain weights and computes at first what the plain network
does. Weights of a trained one come back by ``checkpoint_path=``, ``local-dir:`` or ``hf-hub:``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from ge_det import add_attention
from ge_det.catalogue import CLASSES, DEPTHS, NAMES, attention_config
from ge_det.errors import CheckpointError, DownloadError, one_line

try:
    from timm.models import (
        generate_default_cfgs,
        get_pretrained_cfg,
        list_pretrained,
        model_entrypoint,
        register_model,
    )
except ImportError as error:
    raise ImportError(f'ge_det.timm needs timm 0.9 or later: {error}') from error

__all__: list[str] = []  # register_model adds each name,
default_cfgs: dict[str, Any] = {}  # and reads here what weights there are.


def _register(
    plain: str, attention: str, default: str, weights: list[Any]
) -> Callable[..., nn.Module]:
    name = f'{plain}_{attention.replace("-", "_")}'

    def create(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        return _create(name, plain, attention, pretrained, kwargs)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"timm's {plain} with {attention} in every unit; arguments are timm's."
    tagged = {f'{name}.{cfg.tag}{"*" * (cfg.tag == default)}': cfg for cfg in weights}
    default_cfgs.update(generate_default_cfgs(tagged))
    return register_model(create)


def _create(
    name: str, plain: str, attention: str, pretrained: bool, kwargs: dict[str, Any]
) -> nn.Module:
    config = attention_config(attention)
    assert config is not None
    part = f'.{CLASSES[config["type"].removeprefix("ge_det.")]._abbr_}.'
    gates: dict[str, Tensor] = {}

    def without_gates(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
        gates.update({key: value for key, value in state.items() if part in key})
        return {key: value for key, value in state.items() if key not in gates}

    try:
        model = model_entrypoint(plain)(
            pretrained=pretrained, pretrained_filter_fn=without_gates, **kwargs
        )
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and 'huggingface_hub' not in str(error):
            raise  # A tag or shapes; timm says which.
        raise DownloadError(
            f"{name}: timm has not got {plain}'s weights ({one_line(error)}); without a network, "
            'fetch them elsewhere and give pretrained_cfg_overlay=dict(file=PATH)'
        ) from error
    trained = pretrained and (bool(gates) or _is_saved_model(kwargs.get('pretrained_cfg')))
    add_attention(model, attention, preserve_function=pretrained and not trained)
    if trained:
        _load_gates(name, model, gates, part)
    model.pretrained_cfg['architecture'] = name  # What timm saves with the weights.
    return model


def _is_saved_model(pretrained_cfg: Any) -> bool:
    """Whether the weights come with the configuration of a model, which then is one of ours."""
    return isinstance(pretrained_cfg, dict) and pretrained_cfg.get('source') in (
        'hf-hub',
        'local-dir',
    )


def _load_gates(name: str, model: nn.Module, gates: Mapping[str, Tensor], part: str) -> None:
    # What takes features out of a network may hold it as a part of itself.
    layer = next(path for path, _ in model.named_modules() if path.endswith('layer1'))
    found = {layer.removesuffix('layer1') + key: value for key, value in gates.items()}
    own = {key for key in model.state_dict() if part in key}
    if missing := sorted(own - found.keys()):
        raise CheckpointError(f'{name}: the file has no {missing[0]}, as gates of this name have')
    if more := sorted(found.keys() - own):
        raise CheckpointError(f'{name}: the file has {more[0]}, which gates of this name have not')
    model.load_state_dict({key: found[key] for key in own}, strict=False)


for _depth in DEPTHS:
    _plain = f'resnet{_depth}'
    _default = get_pretrained_cfg(_plain).tag
    _weights = [get_pretrained_cfg(one) for one in list_pretrained(f'{_plain}.*')]
    for _attention in NAMES:
        if _attention != 'none':
            _entry = _register(_plain, _attention, _default, _weights)
            globals()[_entry.__name__] = _entry
