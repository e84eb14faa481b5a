"""A full-width Faster R-CNN trained and tested for a while by the project's own tools.

Data are drawn by tools/make_context_shapes.py at 480x800, of which mmdet makes 800x1333. The config
is the project's for COCO, without pretrained weights.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from lab.gpu.telling import arguments, guarded, seconds, tell

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ('buoy', 'ball', 'sail', 'tent', 'ring', 'cross', 'diamond')


def call(limit: float, command: str) -> None:
    """Run a tool of the project."""
    try:
        done = subprocess.run(
            [sys.executable, *command.split()],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            timeout=max(limit, 1),
            env={**os.environ, 'TRITON_INTERPRET': ''},
        )
    except subprocess.TimeoutExpired as error:
        said: Any = error.stdout or b''  # Bytes, whatever was asked for.
        print(said.decode(errors='replace')[-20_000:])
        raise
    print(done.stdout[-20_000:])
    if done.returncode or 'kernels are off' in done.stdout:
        last = (done.stdout.strip() or 'nothing said').splitlines()[-1]
        raise RuntimeError(f'{command.split()[0]} ended with {done.returncode}: {last}')


def write_config(name: str, last: bool, args: Namespace, file: Path) -> None:
    """The COCO config of a block, with the drawn data and as few images as were drawn."""
    from mmengine.config import Config

    kind = 'baseline/faster-rcnn_r50' if name == 'none' else f'{name}/faster-rcnn_r50-{name}'
    cfg = Config.fromfile(ROOT / f'configs/coco/{kind}_fpn_2x_coco.py')
    workers = 0 if args.tiny else 8
    for part, batch in (('train', args.batch), ('val', 1)):
        loader: Any = cfg[f'{part}_dataloader']
        loader.update(batch_size=batch, num_workers=workers, persistent_workers=workers > 0)
        data = dict(ann_file=f'annotations/{part}.json', data_prefix=dict(img=f'{part}/'))
        loader.dataset.update(data, data_root=f'{args.data}/', metainfo=dict(classes=CLASSES))
        if args.tiny:
            (resize,) = (step for step in loader.dataset.pipeline if step.type == 'Resize')
            resize.scale = (160, 96)
    cfg.val_evaluator.ann_file = f'{args.data}/annotations/val.json'
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    cfg.train_cfg.update(max_epochs=1, val_interval=2)
    cfg.optim_wrapper.optimizer.lr = 0.002
    cfg.default_hooks.logger.interval = 1 if args.tiny else 10
    model: Any = cfg.model
    model.backbone.pretrained = None
    model.roi_head.bbox_head.num_classes = len(CLASSES)
    if last:
        cfg.custom_hooks = [dict(type='ge_det.ChannelsLast')]
    if args.tiny:
        model.backbone.base_channels, model.neck.in_channels = 16, [64, 128, 256, 512]
        model.roi_head.bbox_head.fc_out_channels = 64
        model.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=50)
        model.train_cfg.rcnn.sampler.num = 32
        model.test_cfg.rpn.update(nms_pre=200, max_per_img=50)
    cfg.dump(file)


def train_and_test(name: str, args: Namespace) -> None:
    """Images a second, and that the loss is finite; --last: training in channels_last only."""
    folder, label = Path(mkdtemp()), f'{name}{", channels_last" if args.last else ""}'
    config = folder / 'config.py'
    write_config(name, args.last, args, config)
    amp = '' if args.device == 'cpu' else '--amp'
    with guarded(f'{label}: training'):
        command = f'tools/train.py {config} --work-dir {folder}/run {amp}'
        call(args.limit - seconds(), command)
        (scalars,) = folder.glob('run/*/vis_data/scalars.json')
        rows = [json.loads(line) for line in scalars.read_text(encoding='utf-8').splitlines()]
        steps = [row for row in rows if 'time' in row and 'loss' in row]
        # Each the mean of its last 10 iterations; the first has the start in it.
        kept = steps[1:] or steps
        step, wait = (sum(row[key] for row in kept) / len(kept) for key in ('time', 'data_time'))
        line = (
            f'{label}: {args.batch / step:.1f} images/s in training ({1000 * step:.0f} ms a step, '
            f'of which {1000 * wait:.0f} wait for data), loss {steps[0]["loss"]:.2f} to '
            f'{steps[-1]["loss"]:.2f}, {steps[-1].get("memory", 0)} MiB'
        )
        tell(f'{label} training', line, steps[-1]['loss'] < 1e3, step=step, wait=wait, steps=steps)
    if args.last:
        return
    with guarded(f'{label}: test'):
        command = f'tools/test.py {config} {folder}/run/epoch_1.pth --work-dir {folder}/test'
        call(args.limit - seconds(), command)
        (log,) = folder.glob('test/*/*.json')
        step = json.loads(log.read_text(encoding='utf-8').splitlines()[-1])['time']
        tell(f'{label} test', f'{label}: {1000 * step:.0f} ms a picture in the test', step=step)


def main() -> None:
    """Draw the data if they are not there, then train and test."""
    parser = arguments(__doc__)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--draw', action='store_true', help='only the data')
    parser.add_argument('--last', action='store_true', help='channels_last')
    args = parser.parse_args()
    args.batch, iterations, size = (2, 2, '192 320') if args.tiny else (8, 30, '480 800')
    if not (args.data / 'annotations/val.json').is_file():
        with guarded('data'):
            count = f'--train {args.batch * iterations} --val {4 if args.tiny else 40}'
            out = f'--out {args.data} --quiet --image-size {size}'
            call(args.limit, f'tools/make_context_shapes.py {out} {count}')
            tell('data', f'pictures drawn in {seconds():.0f} s')
    for name in () if args.draw else ('sge',) if args.tiny else ('none', 'sge'):
        train_and_test(name, args)


if __name__ == '__main__':
    main()
