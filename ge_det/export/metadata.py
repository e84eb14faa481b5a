"""What whoever runs an exported file has to know, kept in the file itself.

ONNX keeps pairs of texts; each value here is JSON, so that any language reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from ge_det.config_reader import inner_data_set, type_name
from ge_det.errors import UserError

if TYPE_CHECKING:
    import onnx
    from mmengine.config import Config
    from torch import nn

DETECTORS = ('detect', 'segment')
"""Tasks whose file gives detections, without and with masks; the others give maps."""

_KNOWN_STEPS = ('LoadImageFromFile', 'LoadAnnotations', 'Resize', 'PackDetInputs')


@dataclass(frozen=True)
class Metadata:
    """How to prepare a picture for a file, what comes out, and what the file was made of.

    Args:
        task (str): ``'detect'``, ``'segment'``, ``'features'`` or ``'backbone'``.
        mean (tuple[float]): Taken off each of the ``channels`` of pixels of 0 to 255.
        std (tuple[float]): By which it is then divided.
        channels (str): ``'RGB'`` or ``'BGR'``.
        pad_divisor (int): Height and width are padded, right and below, to a multiple of it.
        pad_value (float): With this, after normalising.
        scale (tuple[int, int], optional): Longest and shortest side that a picture is resized to
            fit in, or without ``keep_ratio`` its width and height; None leaves its size.
        keep_ratio (bool): Whether it keeps its ratio of sides.
        size (tuple[int, int], optional): Height and width of a file of fixed size, in which the
            resized picture has to fit; None of one that takes any.
        classes (tuple[str]): Names, by label.
        score_threshold (float): Detections of a lower score are left out.
        mask_threshold (float): From which a mask's probability counts as inside.
        precision (str): ``'float32'``, ``'float16'`` or ``'int8'``.
        versions (dict[str, str]): Of ge_det, torch, mmdet and the operator set.
        config_sha256 (str): Of the config's content, ``_base_`` and changes included, as JSON with
            sorted keys.
        weights_sha256 (str): Of the checkpoint's file.
    """

    task: str
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    channels: str = 'RGB'
    pad_divisor: int = 1
    pad_value: float = 0.0
    scale: tuple[int, int] | None = None
    keep_ratio: bool = True
    size: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()
    score_threshold: float = 0.0
    mask_threshold: float = 0.5
    precision: str = 'float32'
    versions: Mapping[str, str] | None = None
    config_sha256: str = ''
    weights_sha256: str = ''

    def to_texts(self) -> dict[str, str]:
        """The pairs for a file."""
        return {name: json.dumps(value, ensure_ascii=False) for name, value in asdict(self).items()}

    @classmethod
    def from_texts(cls, texts: Mapping[str, str], file: object = 'this file') -> Metadata:
        """Read the pairs of a file.

        Raises:
            UserError: If they are not those of an export.
        """
        names = [field.name for field in fields(cls)]
        try:
            values: dict[str, Any] = {name: json.loads(texts[name]) for name in names}
        except (KeyError, ValueError) as error:
            raise UserError(
                f'{file}: not written by this `ge-det export`, for its metadata lack '
                f'{error}; export it again'
            ) from error
        for name, value in values.items():
            values[name] = tuple(value) if isinstance(value, list) else value
        kinds = get_type_hints(cls)
        wrong = [name for name in names if not _is_of(kinds[name], values[name])]
        if wrong:
            raise UserError(
                f'{file}: not written by this `ge-det export`, for its metadata have '
                f'{wrong[0]}={texts[wrong[0]]:.80}; export it again'
            )
        return cls(**values)


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a value of JSON is of the kind that a field has."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_is_of(part, value) for part in parts)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        wanted = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return len(wanted) == len(value) and all(map(_is_of, wanted, value))
    if origin is Mapping:
        return isinstance(value, dict) and all(_is_of(parts[1], one) for one in value.values())
    if isinstance(value, bool) or kind is not float:
        return type(value) is kind
    return isinstance(value, (int, float))


def describe(detector: nn.Module, cfg: Config, task: str, classes: tuple[str, ...]) -> Metadata:
    """The part of the metadata that follows from a built detector and its config."""
    prepare: Any = detector.data_preprocessor
    means = prepare.mean.flatten().tolist() if prepare._enable_normalize else [0.0] * 3
    stds = prepare.std.flatten().tolist() if prepare._enable_normalize else [1.0] * 3
    resize = next((step for step in _pipeline(cfg) if _type(step) == 'Resize'), {})
    scale = resize.get('scale')
    if isinstance(scale, int):
        scale = (scale, scale)
    keep_ratio = bool(resize.get('keep_ratio', False)) if scale else True
    if scale and keep_ratio:
        scale = (max(scale), min(scale))
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return Metadata(
        task=task,
        mean=tuple(float(f'{value:.7g}') for value in means),
        std=tuple(float(f'{value:.7g}') for value in stds),
        channels='RGB' if prepare._channel_conversion else 'BGR',
        pad_divisor=int(prepare.pad_size_divisor),
        pad_value=float(prepare.pad_value),
        scale=tuple(scale) if scale else None,
        keep_ratio=keep_ratio,
        classes=classes,
        score_threshold=_test_value(detector, 'score_thr', 0.0),
        mask_threshold=_test_value(detector, 'mask_thr_binary', 0.5),
        config_sha256=hashlib.sha256(text.encode('utf-8')).hexdigest(),
    )


def unknown_steps(cfg: Config) -> list[str]:
    """Steps of the test pipeline that the metadata cannot tell."""
    steps = _pipeline(cfg)
    resizes = [step for step in steps if _type(step) == 'Resize']
    # The metadata hold one scale; a factor is of each picture's own size.
    told = [step for step in resizes[:1] if step.get('scale')]
    return [
        _type(step)
        for step in steps
        if _type(step) not in _KNOWN_STEPS or (step in resizes and step not in told)
    ]


def write_metadata(file: Path, metadata: Metadata) -> None:
    """Put the metadata into an ONNX file, in place of what it has; adds the operator set."""
    import onnx

    model = onnx.load(str(file))
    versions = {**(metadata.versions or {}), 'opset': str(_opset(model))}
    onnx.helper.set_model_props(model, replace(metadata, versions=versions).to_texts())
    onnx.save(model, str(file))


def versions() -> dict[str, str]:
    """Of what makes the file."""
    import mmdet
    import torch

    from ge_det import __version__

    return dict(ge_det=__version__, torch=str(torch.__version__), mmdet=mmdet.__version__)


def _opset(model: onnx.ModelProto) -> int:
    return max(one.version for one in model.opset_import if one.domain in ('', 'ai.onnx'))


def _pipeline(cfg: Config) -> list[dict[str, Any]]:
    return list(inner_data_set(cfg.get('test_dataloader')).get('pipeline') or [])


def _type(step: Mapping[str, Any]) -> str:
    return type_name(step.get('type'))


def _test_value(detector: Any, name: str, default: float) -> float:
    """A value of ``test_cfg``, of a detector in two stages that of the second."""
    settings = detector.test_cfg or {}
    settings = settings.get('rcnn') or settings
    return float(settings.get(name, default))
