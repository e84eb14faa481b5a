"""``ge-det COMMAND``: finds the module of a command and hands it the arguments.

A command is a module with ``main(argv) -> exit code``, where None stands for the arguments of this
process. It raises a UserError for what a user can mend, tells in ``INTERRUPTED`` what to do after
an interruption, and imports nothing slow until it has read its arguments, so that ``--help``
answers at once.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence

from ge_det.cli.errors import run_command

# Modules have no names of Python's own: files of this folder run as scripts, and would find them.
COMMANDS = {
    'make-config': ('ge_det.cli.make_config', 'check labelled photos, write a config for them'),
    'train': ('ge_det.cli.train', 'train a detector'),
    'test': ('ge_det.cli.test', 'measure a trained detector'),
    'report': ('ge_det.cli.report', 'tell in one page how a training went'),
    'compare': ('ge_det.cli.compare', 'compare attention blocks on your own data'),
    'infer': ('ge_det.cli.infer', 'draw and list detections in images and videos'),
    'inspect': ('ge_det.cli.inspect_gates', 'show in one page what the gates of a network do'),
    'import-weights': ('ge_det.cli.import_weights', 'bring weights into a network with attention'),
    'export': ('ge_det.cli.export', 'write a detector as a checked ONNX file'),
    'publish': ('ge_det.cli.publish', 'write a small file of weights to share'),
    'flops': ('ge_det.cli.flops', 'count parameters and FLOPs, gates in full'),
    'blocks': ('ge_det.cli.blocks', 'list the attention blocks'),
    'train-classifier': ('ge_det.cli.train_classifier', 'train a classifier'),
    'make-context-shapes': ('ge_det.cli.make_context_shapes', 'draw a data set to try things on'),
    'doctor': ('ge_det.cli.doctor', 'tell what is missing or broken here'),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv (Sequence[str], optional): Its name and arguments. Defaults to None: those of this
            process.

    Returns:
        int: The exit code.
    """
    # As for `python -m ge_det`: what a config imports may lie beside it. Last, so it hides nothing.
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    name, *arguments = list(sys.argv[1:] if argv is None else argv) or ['--help']
    if name in ('-h', '--help'):
        print(_usage())
        return 0
    if name == '--version':
        from ge_det import __version__

        print(__version__)
        return 0
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, n=1)
        hint = f'did you mean {near[0]}?' if near else '`ge-det --help` lists them'
        print(f'ge-det: there is no command {name!r}; {hint}', file=sys.stderr)
        return 2
    return run(name, arguments)


def run(name: str, argv: Sequence[str] | None = None) -> int:
    """Run one command, as ``ge-det`` and ``tools/*.py`` do.

    Args:
        name (str): A key of :data:`COMMANDS`.
        argv (Sequence[str], optional): Its arguments. Defaults to None: those of this process.

    Returns:
        int: The exit code.
    """
    module = COMMANDS[name][0]
    if argv is None:
        sys.argv[1:] = _with_home(sys.argv[1:])
    else:
        argv = _with_home(argv)

    def action() -> int | None:  # With the import, which an interruption may meet, too.
        code: int | None = importlib.import_module(module).main(argv)
        return code

    def after() -> str:
        told = getattr(sys.modules.get(module), 'INTERRUPTED', 'run it again')
        return str(told() if callable(told) else told)

    return run_command(name, action, after)


def _with_home(words: Sequence[str]) -> list[str]:
    """Words with ``~`` filled in where the shell leaves it, as in ``--out=~/my.py``."""
    home = os.path.expanduser('~')
    return [re.sub(r'^(--[\w-]+=)?~(?=/|$)', lambda m: (m[1] or '') + home, one) for one in words]


def _usage() -> str:
    lines = [f'  {name:<20} {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: ge-det COMMAND [ARGUMENT ...]',
            '',
            'Attention blocks for MMDetection and any other ResNet.',
            '',
            *lines,
            '',
            '`ge-det COMMAND --help` tells the arguments of a command.',
        ]
    )
