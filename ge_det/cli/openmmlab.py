"""Run mmdet's own command-line tools, with clear errors first and safe loading of checkpoints.

``ge-det train`` and ``ge-det test`` are mmdet's scripts by construction, flags included: the script
that mmdet was installed with is found and run. Nothing of it is copied. So is mmpretrain's, for
classifiers, by ``ge-det train-classifier``.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import logging
import os
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ge_det.cli.checks import (
    check_arguments,
    check_model,
    check_optimizer,
    load_safely,
    worker_options,
)
from ge_det.cli.class_order import check_class_order
from ge_det.cli.config_data import (
    changed_since,
    check_data_files,
    check_num_classes,
    classes_of,
    data_sets,
)
from ge_det.cli.length import check_length, told_done, told_next
from ge_det.cli.parsing import Parser
from ge_det.cli.pictures import named_pictures
from ge_det.cli.run_errors import TESTING, TRAINING, run_errors
from ge_det.cli.screen import quiet_screen, show, show_beginning
from ge_det.cli.signals import is_first_process
from ge_det.cli.training_hooks import missing_hooks
from ge_det.cli.work_dir import check_work_dir, find_work_dir, own_work_dir
from ge_det.compat.extras import extra_of
from ge_det.config_changes import of_short_names
from ge_det.config_reader import Changes, check_change, read_config, read_model
from ge_det.errors import UserError


def find_script(name: str, package: str = 'mmdet') -> Path:
    """Path of one of mmdet's or mmpretrain's tools.

    Args:
        name (str): Its name without suffix, such as ``'train'``.
        package (str): Whose tool it is. Defaults to 'mmdet'.

    Returns:
        Path: The packaged script, or the repository's where the package is installed for editing.

    Raises:
        UserError: If the package is not installed or came without its tools.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        how = '' if package == 'mmdet' else 'run tools/setup.sh, which brings a torchvision, or '
        how += extra_of(package)
        raise UserError(f'{package} is not installed here; {how}')
    folder = Path(spec.origin).parent
    candidates = (
        folder / '.mim' / 'tools' / f'{name}.py',
        folder.parent / 'tools' / f'{name}.py',
    )
    for script in candidates:
        if script.is_file():
            return script
    raise UserError(
        f'{package} has no tool {name}.py (looked for {candidates[0]}); install it again'
    )


def run_tool(
    name: str,
    argv: Sequence[str] | None = None,
    *,
    package: str = 'mmdet',
    command: str | None = None,
    also_check: Callable[[argparse.Namespace], None] | None = None,
    epilog: str | None = None,
) -> None:
    """Run one of mmdet's or mmpretrain's tools.

    Its own parser reads the arguments first, so that ``--help`` and unknown flags are the tool's,
    then :func:`ge_det.cli.checks.check_arguments`.

    Args:
        name (str): ``'train'`` or ``'test'``.
        argv (Sequence[str], optional): Arguments. Defaults to None: those of this process.
        package (str): Whose tool it is. Defaults to 'mmdet'.
        command (str, optional): Name of our command. Defaults to None: ``name``.
        also_check (callable, optional): A further check, which may raise a UserError, of the
            arguments. Defaults to None.
        epilog (str, optional): What ``--help`` tells after the tool's own. Defaults to None.

    Raises:
        UserError: If an argument or the work dir cannot work, or memory or the disk run out.
        SystemExit: As the tool's parser has it.
    """
    script = find_script(name, package)
    if argv is not None:  # The scripts read those of the process, and so do their children.
        sys.argv = [f'ge-det {command or name}', *argv]
    if (quick := read_arguments(script, epilog)) is not None:
        check_arguments(quick)
        show_beginning(f'reading {quick.config} ...')
    logging.raiseExceptions = False  # Else a full disk is a traceback for every line of a log.
    then = 'go on with --resume' if name == 'train' else 'run it again'
    # A training has a line of AP an epoch; the tables are in its log.
    tables = name == 'test'
    less = run_errors(then, TRAINING if name == 'train' else TESTING)
    with quiet_screen(getattr(quick, 'config', name), tables), less:
        load_safely()
        _read_options_ourselves()
        tool = runpy.run_path(str(script), run_name=f'{package}_tools_{name}')
        args = tool['parse_args']()
        check_arguments(args)
        if also_check is not None:
            also_check(args)
        instead = 'run make-config again, which looks at the pictures'
        if package != 'mmdet':
            instead = 'take it out of the data'
        named = named_pictures(f'put it back and {then}, or {instead}')
        with named, _prepared(name, args, package):
            runpy.run_path(str(script), run_name='__main__')


def _read_options_ourselves() -> None:
    """Have the tools, which import MMEngine's reader of ``--cfg-options``, leave paths as given."""
    import mmengine.config

    mmengine.config.DictAction = Changes


@contextmanager
def _prepared(name: str, args: argparse.Namespace, package: str = 'mmdet') -> Iterator[None]:
    """Check what a config names, take the work dir of a training, and tell the plan."""
    options = getattr(args, 'cfg_options', None)
    cfg = read_model(args.config, options)
    if getattr(args, 'no_validate', False):  # A flag of mmpretrain's: these data may be missing.
        cfg.val_dataloader = None
    if named := of_short_names(options or {}, read_config(args.config)):
        sys.argv += ['--cfg-options', *(f'{key}={value}' for key, value in named.items())]
    # The scope of configs with classes for types is None.
    detects = package == 'mmdet' and (cfg.get('default_scope') or package) == package
    found = data_sets(cfg, name)  # Once: annotation files may be large.
    check_data_files(found)
    check_class_order(cfg, found)
    if name == 'train':
        check_length(cfg)
        check_optimizer(cfg)
        if detects:
            check_num_classes(cfg, found)
    if changes := worker_options(cfg):
        sys.argv += ['--cfg-options', *changes]
        show(f'without worker processes: {" ".join(changes)}')
    from ge_det.cli.plan import plan_of  # They import torch.
    from ge_det.compat.configs_of_tests import configs_beside_logs

    is_start, speaks = name == 'train', is_first_process()
    if speaks and not is_start:  # One process: others might look while it is taken away.
        check_work_dir(find_work_dir(args, cfg))
    with own_work_dir(args, cfg) if is_start else nullcontext(args.checkpoint) as checkpoint:
        # Of several processes, one looks at the weights to start from, and tells. It alone knows
        # whether the training starts at all or goes on.
        begins, classes = is_start and speaks, classes_of(found)
        model = check_model(args.config, options, checkpoint, is_start=begins, classes=classes)
        if speaks:
            show(*changed_since(args.config, found), *plan_of(cfg, found, model, checkpoint))
            show(*(told_done(cfg, checkpoint) if is_start else []))
        if hooks := missing_hooks(cfg, name):
            sys.argv += ['--cfg-options', *hooks]
        with nullcontext() if is_start else configs_beside_logs():
            yield
    if is_start and speaks and detects:
        show(*told_next(args.config, find_work_dir(args, cfg), cfg))


def read_arguments(script: Path, epilog: str | None = None) -> argparse.Namespace | None:
    """Let a script's ``parse_args`` read the arguments of this process, and import nothing for it.

    Args:
        script (Path): Where the function is. Nothing else of the file runs.
        epilog (str, optional): What ``--help`` tells after the script's own. Defaults to None.

    Returns:
        argparse.Namespace | None: The arguments, those of ``--cfg-options`` as text; None if the
        function needs more than the scripts of OpenMMLab do, and only the whole file can tell.

    Raises:
        SystemExit: As the parser has it, after ``--help`` or a wrong flag.
    """
    tree = ast.parse(script.read_text(encoding='utf-8'))
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == 'parse_args'
    ]
    ours = partial(Parser, epilog=epilog)  # Its errors are one line.
    stand_in = SimpleNamespace(**{**vars(argparse), 'ArgumentParser': ours})
    names: dict[str, Any] = dict(argparse=stand_in, os=os, DictAction=_KeyValues)
    exec(compile(tree, str(script), 'exec'), names)
    try:
        args: argparse.Namespace = names['parse_args']()
    except (KeyError, NameError):
        return None
    return args


class _KeyValues(argparse.Action):
    """Stands in for MMEngine's ``DictAction``: the same words, the values left as text."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        found = dict(getattr(namespace, self.dest) or {})
        setattr(namespace, self.dest, found | dict(map(check_change, values)))
