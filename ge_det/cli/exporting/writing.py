"""The steps of an export: write, check, make smaller, tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ge_det.cli.exporting.check import Check, detect, refuse
from ge_det.cli.exporting.graph import Graph
from ge_det.cli.exporting.pictures import labelled, read
from ge_det.cli.pictures import named_pictures
from ge_det.cli.run_errors import EXPORTING, run_errors
from ge_det.cli.screen import show
from ge_det.detecting.detector import PictureDetector
from ge_det.export.cases import predict, prepare
from ge_det.export.evaluate import evaluate
from ge_det.export.half import to_half
from ge_det.export.metadata import Metadata, describe, unknown_steps, versions, write_metadata
from ge_det.export.parity import EXACT, FLOOR, Tolerance
from ge_det.export.quantise import Feed, quantise
from ge_det.export.rows import Row, table, together
from ge_det.export.session import Session
from ge_det.export.timing import Call, ratios
from ge_det.files import sha256_of
from ge_det.reading.download import fetch
from ge_det.words import counted

HALF = Tolerance(iou=0.9, score=0.05, share=0.05, deviation=0.02, change=2e-3)
"""Of a file in half precision: rounding moves a few detections over an edge."""

EIGHT_BITS = Tolerance(iou=0.5, score=0.1, share=1.0, deviation=float('inf'))
"""What counts as the same detection of a file in eight bits; how many there are is told."""

_TITLES = {'coco/bbox_mAP': 'AP', 'coco/segm_mAP': 'AP of masks'}


@dataclass(frozen=True)
class Order:
    """What is to be written.

    Args:
        cfg (Config): The config.
        detector (PictureDetector): The detector.
        graph (Graph): What of it, at which size.
        checkpoint (str): Its weights.
        out (Path): The file.
        pictures (Sequence[np.ndarray]): To check with.
        told (str): What they are.
        half (bool): Whether in half precision.
        measured (Sequence[str]): Pictures for the ranges of eight bits; none for no such file.
    """

    cfg: Any
    detector: PictureDetector
    graph: Graph
    checkpoint: str
    out: Path
    pictures: Sequence[np.ndarray]
    told: str
    half: bool
    measured: Sequence[str]


def write(order: Order, part: Path) -> None:
    """Write the file, checked.

    Raises:
        UserError: If it does not give what PyTorch gives.
    """
    graph = order.graph
    about = _about(order)
    size = 'x'.join(map(str, graph.size))
    of = 'batch, height and width open' if graph.dynamic else f'one picture of {size}'
    show(f'graph:   {graph.what}, {of}')
    for step in unknown_steps(order.cfg):
        show(f'note: the metadata cannot tell the step {step} of the test pipeline')
    if graph.gates() and getattr(graph.model.backbone, 'valid_area', False):
        show('note: the file has no valid_area: its gates see the whole map, padding included')
    show('writing: the graph is traced, which may take a minute or two')
    graph.write(part)
    write_metadata(part, about)
    check = Check(graph, order.pictures, about.mask_threshold)
    show(f'checking: onnxruntime beside PyTorch on {order.told}')
    rows = check.rows(Session(part), EXACT)
    _tell(rows)
    refuse(check, rows, EXACT, order.out)
    if not order.half and not order.measured:
        _time(check, part)
        return
    with TemporaryDirectory() as folder:
        small = Path(folder) / 'small.onnx'
        if order.half:
            _halve(order, part, small, about, check)
        else:
            _quantise(order, part, small, about, check)
        _time(check, small)
        part.write_bytes(small.read_bytes())


def _about(order: Order) -> Metadata:
    graph = order.graph
    about = describe(graph.model, order.cfg, graph.task, order.detector.names)
    return replace(
        about,
        size=None if graph.dynamic else graph.size,
        versions=versions(),
        weights_sha256=sha256_of(fetch(order.checkpoint)),
    )


def _tell(rows: Sequence[Row]) -> None:
    show(*(f'  {line}' for line in table(rows)))
    if all(row.agreement is not None and not row.agreement.compared for row in rows):
        show(
            f'warning: nothing scores over {FLOOR} in these pictures, so no detection was compared '
            'and the file is as good as unchecked; --check IMAGES takes some with more in them'
        )


def _halve(order: Order, part: Path, small: Path, about: Metadata, check: Check) -> None:
    nodes = to_half(part, small)
    write_metadata(small, replace(about, precision='float16'))
    rows = check.rows(Session(small), HALF)
    show(
        f'half precision, {nodes} nodes: a partner overlaps by {HALF.iou}, its score is off by at '
        f'most {HALF.score}'
    )
    _tell(rows)
    refuse(check, rows, HALF, order.out, to_half)


def _quantise(order: Order, part: Path, small: Path, about: Metadata, check: Check) -> None:
    gates = order.graph.gates()
    layers = quantise(part, small, _feeds(order), gates)
    write_metadata(small, replace(about, precision='int8'))
    show(
        f'int8:    {counted(layers, "layer")} in eight bits by '
        f'{counted(len(order.measured), "picture")}, {counted(len(gates), "gate")} in float'
    )
    if order.graph.is_detector and labelled(order.cfg):
        _tell_lost(order, part, small)
        return
    rows = check.rows(Session(small), EIGHT_BITS)
    _tell(rows)
    found = together(rows)
    if found.compared:
        show(
            f'  {found.share:.0%} of the detections are the same (IoU over {EIGHT_BITS.iou}, score '
            f'within {EIGHT_BITS.score})'
        )


def _tell_lost(order: Order, part: Path, small: Path) -> None:
    cfg = order.cfg.copy()
    cfg.log_level = 'ERROR'
    count = sum(one.count for one in labelled(order.cfg))
    show(f'measuring: AP on {counted(count, "picture")}, in float and in eight bits')
    figures = []
    for name, file in (('float', part), ('int8', small)):
        with (
            named_pictures('put it back and run it again, or take it out of the data'),
            run_errors('run it again', EXPORTING),
            TemporaryDirectory() as folder,
            redirect_stdout(StringIO()),  # Two tables of it.
        ):
            figures.append(evaluate(cfg, Session(file), Path(folder) / name))
    show(*lost(*figures))


def lost(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Lines that tell each average precision of float and of eight bits."""
    lines = []
    for name in (one for one in before if one.endswith('AP')):
        title = _TITLES.get(name, name)
        left = after.get(name, 0.0)  # It is left out where nothing is found.
        less = before[name] - left
        lines.append(f'  {title} {before[name]:.3f} -> {left:.3f} in eight bits: {less:.3f} lost')
    return lines or ['  no AP to compare: the evaluator gives none, as where nothing is found']


def _feeds(order: Order) -> Iterator[Feed]:
    graph = order.graph
    for picture in read(order.detector, order.measured):
        height, width = graph.size
        is_across = (picture.shape[0] > picture.shape[1]) != (height > width)
        size = (width, height) if is_across and graph.dynamic else graph.size
        case = prepare(graph.model, [picture], size)
        feed = dict(images=case.images.numpy())
        yield {**feed, 'sizes': case.sizes.numpy()} if graph.is_detector else feed


def _time(check: Check, file: Path) -> None:
    graph = check.graph
    case = prepare(graph.model, check.pictures[:1], graph.size)
    session = Session(file, threads=torch.get_num_threads())
    base: Call
    call: Call
    if graph.is_detector:
        base = partial(predict, graph.model, case)
        call = partial(detect, session, case, check.mask_threshold)
    else:
        network = graph.network().eval()
        base = torch.inference_mode()(partial(network, case.images))
        call = partial(session.run, case.images.numpy())
    found = ratios(base, {'onnx': call, 'again': base})
    show(
        f"time:    {found['onnx']:.2f} of PyTorch's at {graph.size[0]}x{graph.size[1]} on "
        f'{counted(torch.get_num_threads(), "thread")} (PyTorch beside itself {found["again"]:.2f})'
    )
