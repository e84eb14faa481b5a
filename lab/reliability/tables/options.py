"""Odd values of every option of every command."""

from __future__ import annotations

from ge_det.cli.main import run as run_ge_det

from ..parallel import in_parallel
from ..place import Place
from ..table import Table
from ..trial import ACCEPTED, ONE_LINE, attempt, fresh

ABOUT = (
    'Each option of each command with values that nobody should give, and options of the backbone '
    'through `--cfg-options`. Right: it works, or one line with exit code 2.'
)

# Only what nobody can write, or what lies within the folder of the try.
_FILES = ('/proc/none/x', '', '.', 'ü\u2028{{ x }}.py')
_NUMBERS = ('0', '-1', '1e99', 'nan', 'x', '99999999999999999999', '')
_BACKBONE = {
    'depth': ('0', '49', 'None', "'50'", '[50]'),
    'strides': ('(1,2,2)', '(0,2,2,2)', 'x', '(1,2,2,-1)'),
    'dilations': ('(1,1)', '(0,1,1,1)', 'x'),
    'out_indices': ('()', '(4,)', '(-1,)', '(1,0)', 'x'),
    'in_channels': ('0', '-3', 'x', '4'),
    'num_stages': ('0', '5', 'x'),
    'frozen_stages': ('9', '-2', 'x'),
    'base_channels': ('0', '7', 'x'),
    'stem_channels': ('0', 'x'),
    'style': ('x', '3'),
    'norm_cfg.type': ('x', 'None', 'LN'),
    'attention': ('None', 'x', 'sge', '3', '[]', "[dict(type='ge_det.SqueezeExcite')]"),
    'attention.type': ('x', 'ge_det.AttentionResNet', 'None', 'ge_det.GatherExcite'),
    'attention.groups': ('0', '7', 'x', '-1', '1e9'),
    'attention.ratio': ('0', '3'),
    'attention_stages': ('(True,)', 'x', '(1,2,3,4)', '(False,False,False,False)'),
    'fused': ('x', 'None'),
    'plugins': ("[dict(type='x')]", "[dict(cfg=dict(type='ge_det.SqueezeExcite'))]", 'x'),
    'pretrained': ('x', '3', 'dict()', "dict(checkpoint='/proc/none/x')"),
    'postfix': ('x',),
    'deep_stem': ('x',),
    'nonsense': ('1',),
}
_REST = {
    'train_dataloader.num_workers': ('0', '-1', 'x'),
    'train_dataloader.batch_size': ('0', '-1', 'x'),
    'train_dataloader.dataset.ann_file': ('/proc/none/x.json', ''),
    'train_dataloader.dataset.data_prefix.img': ('/proc/none/x',),
    'val_evaluator.ann_file': ('/proc/none/x.json',),
    'train_cfg.max_epochs': ('0', '-1', 'x'),
    'optim_wrapper.optimizer.lr': ('x', '-1', 'nan'),
    'optim_wrapper.type': ('AmpOptimWrapper', 'x'),
    'model.type': ('x', 'ge_det.SqueezeExcite'),
    'load_from': ('/proc/none/x', ''),
    'resume': ('True', 'x'),
    'default_scope': ('x', 'None'),
}
_VAL = {
    'val_dataloader.dataset.ann_file': ('/proc/none/x.json', '', '3'),
    'val_dataloader.dataset.data_prefix.img': ('/proc/none/x', '3'),
    'val_dataloader.dataset.type': ('x', 'None'),
    'val_dataloader': ('x', 'None'),
    'model.backbone.depth': ('x', '49', '50'),
}
_EXPORTS = (
    *(
        ('--size', *size.split())
        for size in ('0 0', '-32 64', '64 x', 'nan 64', '1e99 64', '99 99')
    ),
    ('--size', '64'),
    ('--size', '99999', '64'),
    ('--size', '64', '64', '--dynamic'),
    ('--half', '--int8', '.'),
)


def run(place: Place, jobs: int) -> Table:
    """Give every option every value."""
    fresh(place.tries / 'options')
    tasks = [(place, number, *task) for number, task in enumerate(_tasks(place))]
    faults = in_parallel(_fault, tasks, jobs)
    table = Table('Options', ABOUT, ['command', 'right'])
    for command in dict.fromkeys(task[2] for task in tasks):
        own = [fault for task, fault in zip(tasks, faults, strict=True) if task[2] == command]
        table.count(command, (sum(fault is None for fault in own), len(own)))
    table.faults += [
        f'{task[2]} {" ".join(task[4])}: {fault}'
        for task, fault in zip(tasks, faults, strict=True)
        if fault is not None
    ]
    return table


def _tasks(place: Place) -> list[tuple[str, list[str], tuple[str, ...]]]:
    """Command, arguments, and those of them to show."""
    model = ['--config', str(place.config), '--checkpoint', str(place.detector)]
    picture = str(next((place.folder / 'data/val').glob('*.png')))
    files, numbers = _FILES, _NUMBERS
    found: list[tuple[str, list[str], tuple[str, ...]]] = []

    def add(command: str, base: list[str], options: dict[str, tuple[str, ...]]) -> None:
        for option, values in options.items():
            for value in values:
                # The last one of an option that is given twice counts.
                words = (value,) if option == '' else (f'{option}={value}',)
                found.append((command, [*base, *words], words))

    make_config = place.make_config_arguments(out='made.py')
    add('make-config', make_config, {
        **{f'--{n}': files for n in ('train-json', 'val-json', 'train-images', 'out')},
        **{f'--{n}': numbers for n in ('depth', 'base-channels', 'epochs', 'batch-size', 'lr')},
        '--workers': numbers, '--attention': ('x', '', 'SGE'), '--pretrained': files,
        '--check-images': numbers, '--skip-bad': ('x',), '': files,
    })  # fmt: skip
    chosen = place.data_arguments() + ['--out', 'made.py']
    add('make-config', chosen, {'--time': numbers})
    add('make-config', [*chosen, '--no-measure'], {
        **{f'--{n}': numbers for n in ('frozen-stages', 'anchor-scales', 'anchor-ratios', 'scale')},
        '--detector': ('x', ''), '--optimizer': ('x', ''), '--small': ('x',), '--time': ('20m',),
    })  # fmt: skip
    compare = [str(place.config), '--dry-run', '--work-dir', 'c', '--attention', 'none', 'se']
    add('compare', compare, {
        '--attention': ('x', '', 'se', 'None'), '--seeds': numbers, '--epochs': numbers,
        '--work-dir': files, '--cfg-options': ('x', '', 'x=1', 'randomness.seed=1', *(
            f'model.backbone.{name}={value}'
            for name in ('attention', 'attention.ratio', 'depth', 'pretrained')
            for value in _BACKBONE[name]
        )),
    })  # fmt: skip
    add('report', [], {'': files})
    add('report', [str(place.detector.parent), '--cfg-options'], {
        '': tuple(f'{name}={value}' for name, values in _VAL.items() for value in values)
    })  # fmt: skip
    add('import-weights', [*model, '--out', 'o.pth'], {
        '--checkpoint': files, '--config': files, '--out': files, '--source': ('x', ''),
        '--calibrate': files, '--report': files, '--depth': numbers,
    })  # fmt: skip
    add('infer', [picture, *model, '--out', 'drawn'], {
        '--config': files, '--checkpoint': files, '--out': files, '--score-thr': numbers,
        '--device': ('cuda:9', 'x', '', 'meta', 'mps'), '': files,
    })  # fmt: skip
    add('publish', [str(place.detector), '--out', 'p/'], {'--out': files, '--config': files})
    add('make-context-shapes', ['--out', 'o', '--train', '2', '--val', '2', '--quiet'], {
        '--out': files, '--train': numbers, '--val': numbers, '--seed': numbers,
        '--context-share': numbers, '--cue-size': numbers, '--preview': files,
    })  # fmt: skip
    export = [str(place.config), str(place.detector), '--out', 'o.onnx']
    add('export', export, {
        '--out': files, '--check': files, '--int8': files, '--what': ('x', ''),
    })  # fmt: skip
    for words in _EXPORTS:
        found.append(('export', [*export, *words], words))
    add('flops', [str(place.config)], {'': files[1:]})
    for file in files:
        found.append(('compare', [file, '--dry-run'], (file,)))
        found.append(('export', [file, str(place.detector), '--out', 'o.onnx'], (file,)))
        found.append(('export', [str(place.config), file, '--out', 'o.onnx'], ('checkpoint', file)))
        found.append(('test', [str(place.config), file, '--work-dir', 't'], (file,)))
        found.append(('test', [str(place.config), '--onnx', file], ('--onnx', file)))
        found.append(('train', [file, '--work-dir', 't'], (file,)))
        found.append(('train-classifier', [file, '--work-dir', 't'], (file,)))
    base = place.train_arguments('t', 'train_cfg.max_epochs=1')
    options = {f'model.backbone.{name}': values for name, values in _BACKBONE.items()}
    add('train', base, options | _REST)
    return found


def _fault(task: tuple[Place, int, str, list[str], tuple[str, ...]]) -> str | None:
    place, number, command, arguments, _ = task
    folder = fresh(place.tries / 'options' / str(number))
    trial = attempt(lambda: run_ge_det(command, arguments), folder)
    if trial.outcome == ACCEPTED or (trial.outcome == ONE_LINE and trial.code == 2):
        return None
    return f'{trial.outcome}, exit code {trial.code}: {trial.last_line[:150]}'
