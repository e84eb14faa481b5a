"""Every detector with every block out of Python: parity, AP and time, by runtime.

The detectors are trained first, plain: `python tools/train.py lab/configs/X_context-shapes.py
--work-dir RUNS/X` for each X of DETECTORS. Gates are attached to them so that nothing changes, then
shaken, so that they do something; what is measured is whether a file does the same, not what a
block is good for.

Example:
    python -m lab.export.table work_dirs/export
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from tabulate import tabulate  # type: ignore[import-untyped]

import ge_det
from ge_det.catalogue import NAMES, attention_config
from ge_det.cli.exporting.check import Check, detect
from ge_det.cli.exporting.graph import Graph
from ge_det.cli.exporting.writing import EIGHT_BITS
from ge_det.export.cases import predict, prepare
from ge_det.export.evaluate import evaluate, evaluate_model
from ge_det.export.metadata import describe, write_metadata
from ge_det.export.parity import EXACT
from ge_det.export.quantise import Feed, quantise
from ge_det.export.rows import together
from ge_det.export.session import Session
from ge_det.export.timing import ratios
from ge_det.files import write_whole
from ge_det.reading.load import load_file
from lab.export.openvino_session import OpenVinoSession

DETECTORS = ('faster-rcnn', 'mask-rcnn', 'cascade-rcnn', 'retinanet')
SHAKEN = 0.1
"""Standard deviation of what is added to the weights of gates."""

_WIDTH = 16
_SIZE, _TIMED_SIZE = (128, 128), (256, 320)


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', type=Path, help='folder of the work dirs')
    parser.add_argument('--detectors', nargs='+', default=DETECTORS, choices=DETECTORS)
    parser.add_argument('--blocks', nargs='+', default=NAMES, choices=NAMES)
    parser.add_argument('--rounds', type=int, default=7, help='of timing; %(default)s')
    args = parser.parse_args()
    register_all_modules()
    torch.set_num_threads(1)
    cells = {}
    for block in args.blocks:
        for detector in args.detectors:
            file = args.runs / 'table' / f'{detector} {block}.json'
            if not file.is_file():
                cell = measure(args.runs / detector, block, args.rounds)
                file.parent.mkdir(exist_ok=True)
                write_whole(file, json.dumps(cell, indent=1).encode())
                print(detector, block, json.dumps(cell), file=sys.stderr, flush=True)
            cells[detector, block] = json.loads(file.read_bytes())
    print(table(cells))


def measure(run: Path, block: str, rounds: int) -> dict[str, Any]:
    """Figures of one detector with one block."""
    (config,) = run.glob('*.py')
    cfg = Config.fromfile(config)
    cfg.log_level = 'ERROR'
    cfg.visualizer = dict(type='DetLocalVisualizer', vis_backends=[])
    checkpoint = max(run.glob('epoch_*.pth'), key=lambda file: file.stat().st_mtime)
    model = _with_block(cfg, block, load_file(checkpoint)['state_dict'])
    graph = Graph(model, 'detector', _SIZE, dynamic=True)
    data = cfg.test_dataloader.dataset
    pictures = _pictures(data, 40)
    check = Check(graph, pictures[:2], 0.5)
    with TemporaryDirectory() as folder:
        file, small = Path(folder) / 'model.onnx', Path(folder) / 'int8.onnx'
        graph.write(file)
        quantise(file, small, _feeds(graph, pictures), graph.gates())
        about = describe(model, cfg, graph.task, tuple(cfg.metainfo.classes))
        for one in (file, small):
            write_metadata(one, about)
        sessions = dict(
            onnxruntime=Session(file, 1), OpenVINO=OpenVinoSession(file, 1), int8=Session(small, 1)
        )
        found: dict[str, Any] = {
            'PyTorch': dict(AP=_average_precision(partial(evaluate_model, cfg, model)))
        }
        for name, session in sessions.items():
            agreement = together(check.rows(session, EIGHT_BITS if name == 'int8' else EXACT))
            found[name] = dict(
                compared=agreement.compared,
                lacking=agreement.lacking,
                iou=agreement.worst_iou,
                score=agreement.worst_score,
                AP=_average_precision(partial(evaluate, cfg, session)),
            )
        for name, ratio in _ratios(graph, pictures[0], sessions, rounds).items():
            found[name]['time'] = ratio
    return found


def _with_block(cfg: Config, block: str, weights: Any) -> Any:
    """The trained detector with gates that do something."""
    plain = MODELS.build(cfg.model)
    plain.load_state_dict(weights)
    attention = attention_config(block, _WIDTH)
    if attention is None:
        return plain.eval()
    torch.manual_seed(0)
    ge_det.add_attention(plain, attention)
    cfg.model.backbone.attention = attention
    model = MODELS.build(cfg.model)
    model.load_state_dict(plain.state_dict())
    for gate in model.backbone.gates().values():
        for parameter in gate.parameters():
            parameter.data += SHAKEN * torch.randn_like(parameter)
    return model.eval()


def _pictures(data: Any, count: int) -> list[np.ndarray]:
    folder = Path(data.data_root) / data.data_prefix.img
    return [mmcv.imread(str(file)) for file in sorted(folder.iterdir())[:count]]


def _feeds(graph: Graph, pictures: list[np.ndarray]) -> Iterator[Feed]:
    for picture in pictures:
        case = prepare(graph.model, [picture], graph.size)
        yield dict(images=case.images.numpy(), sizes=case.sizes.numpy())


def _average_precision(figures_in: Any) -> dict[str, float]:
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        figures = figures_in(Path(folder))
    names = {'coco/bbox_mAP': 'box', 'coco/segm_mAP': 'mask'}
    return {names[name]: value for name, value in figures.items() if name in names}


def _ratios(
    graph: Graph, picture: np.ndarray, sessions: dict[str, Session], rounds: int
) -> dict[str, float]:
    case = prepare(graph.model, [picture], _TIMED_SIZE)
    base = partial(predict, graph.model, case)
    calls = {name: partial(detect, one, case, 0.5) for name, one in sessions.items()}
    return ratios(base, {'PyTorch': base, **calls}, rounds)


def table(cells: dict[tuple[str, str], dict[str, Any]]) -> str:
    """In Markdown, a row a cell."""
    names = ('onnxruntime', 'OpenVINO', 'int8')
    head = ['detector', 'block', 'AP in PyTorch']
    head += [f'{name}: {what}' for name in names for what in ('parity', 'AP', 'time')]
    lines = []
    for (detector, block), cell in cells.items():
        row = [detector, block, _shown(cell['PyTorch']['AP'])]
        for name in names:
            of = cell[name]
            same = of['compared'] - of['lacking']
            parity = f'{same} of {of["compared"]}'
            if name != 'int8':
                parity += f', {1 - of["iou"]:.0e}, {of["score"]:.0e}'
            row += [parity, _shown(of['AP']), f'{of["time"]:.2f}']
        lines.append(row)
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)


def _shown(figures: dict[str, float]) -> str:
    return ' / '.join(f'{100 * value:.1f}' for value in figures.values())


if __name__ == '__main__':
    main()
