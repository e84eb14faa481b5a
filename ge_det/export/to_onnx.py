"""A network as an ONNX file, by PyTorch's present exporter or by the one before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks.taking_back import in_eval_mode
from ge_det.files import write_whole

from .program import IMAGE_AXES, export_program, open_axes

OPSET = 18
"""What PyTorch's exporter is written in; later ones would be translated from it."""

LEGACY_OPSET = 17
"""The last one that TensorRT 8 reads whole."""

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


def write_onnx(
    model: nn.Module,
    images: Tensor,
    file: str | Path,
    *,
    inputs: Mapping[str, Tensor] = _NOTHING,
    outputs: Sequence[str],
    dynamic: bool,
    legacy: bool = False,
    translations: Mapping[Callable[..., Any], Callable[..., Any]] = _NOTHING,
) -> None:
    """Write a network in evaluation, with its weights, into one ONNX file.

    Args:
        model (nn.Module): Called as ``model(images, *inputs.values())``. It is left as it was.
        images (Tensor): An example, (N, 3, H, W); its values do not matter.
        file (str | Path): To write; it is there as a whole or not at all.
        inputs (Mapping[str, Tensor]): Examples of further inputs by name; their first axis is the
            batch. Defaults to none.
        outputs (Sequence[str]): Names for what the network returns.
        dynamic (bool): Whether batch, height and width stay open within
            :data:`~ge_det.export.program.BOUNDS`. Otherwise the file is for the shape of the
            example.
        legacy (bool): Use TorchScript's exporter, for software that does not read what the present
            one writes. It does not check what holds at other sizes, and takes all outputs for maps.
            Defaults to False.
        translations (Mapping): From PyTorch's operators to functions of ONNX Script that stand for
            them, for the present exporter. Defaults to none.

    Raises:
        UserError: If the example is out of bounds, or the network decides something by an axis that
            is to stay open.
    """
    arguments = (images, *inputs.values())
    names = dict(input_names=['images', *inputs], output_names=list(outputs))

    def write(part: Path) -> None:
        if legacy:
            axes = _legacy_axes(arguments, **names) if dynamic else None
            _write_legacy(model, arguments, part, names, axes)
        else:
            program = export_program(model, arguments, dynamic)
            shapes = open_axes(arguments) if dynamic else None  # For their names.
            _write(program, part, dict(names, dynamic_shapes=shapes), translations)

    with in_eval_mode(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Exporters warn of themselves.
        write_whole(Path(file), write)


def _write(
    program: torch.export.ExportedProgram,
    file: Path,
    names: dict[str, Any],
    translations: Mapping[Callable[..., Any], Callable[..., Any]],
) -> None:
    written: Any = torch.onnx.export(
        program,
        opset_version=OPSET,
        custom_translation_table=dict(translations) or None,
        verbose=False,
        **names,
    )
    # The exporter notes the lines of source of each node, and where they lie.
    for node in written.model.graph.all_nodes():
        node.metadata_props.clear()
    written.save(str(file), external_data=False)


def _legacy_axes(
    arguments: tuple[Tensor, ...], input_names: list[str], output_names: list[str]
) -> dict[str, dict[int, str]]:
    open_axes(arguments)  # For the bounds.
    batches = {name: {0: 'batch'} for name in input_names[1:]}
    maps = {n: {0: 'batch', 2: f'{n}_height', 3: f'{n}_width'} for n in output_names}
    return {input_names[0]: IMAGE_AXES, **batches, **maps}


def _write_legacy(
    model: nn.Module,
    arguments: tuple[Tensor, ...],
    file: Path,
    names: dict[str, list[str]],
    axes: dict[str, dict[int, str]] | None,
) -> None:
    options: Any = names
    torch.onnx.export(
        model,
        arguments,
        str(file),
        dynamo=False,
        opset_version=LEGACY_OPSET,
        dynamic_axes=axes,
        **options,
    )
