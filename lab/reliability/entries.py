"""The ways by which a file of weights comes in, each as a user does it."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

from ge_det.cli.errors import run_command
from ge_det.cli.main import run
from ge_det.cli.openmmlab import find_script

from .place import Place

Entry = Callable[[Place, Path], object]


def pretrained(place: Place, file: Path) -> object:
    """``AttentionResNet(pretrained=...)`` in Python."""

    def build() -> None:
        from ge_det.backbones import AttentionResNet

        attention = dict(type='ge_det.SpatialGroupEnhance', groups=16)
        options = dict(checkpoint=str(file))
        AttentionResNet(
            18, attention=attention, base_channels=16, pretrained=options
        ).init_weights()

    return run_command('pretrained', build)


def import_weights(place: Place, file: Path) -> object:
    """``ge-det import-weights``."""
    arguments = ['--checkpoint', str(file), '--config', str(place.config), '--out', 'out.pth']
    return run('import-weights', arguments)


def load_from(place: Place, file: Path) -> object:
    """``ge-det train`` from the weights of a detector."""
    options = (f'load_from={file}', 'train_cfg.max_epochs=1')
    return run('train', place.train_arguments('run', *options))


def resume(place: Place, file: Path) -> object:
    """``ge-det train --resume FILE``."""
    return run('train', [*place.train_arguments('run'), '--resume', str(file)])


def test(place: Place, file: Path) -> object:
    """``ge-det test``."""
    return run('test', [str(place.config), str(file), '--work-dir', 'test'])


def infer(place: Place, file: Path) -> object:
    """``ge-det infer``."""
    picture = next((place.folder / 'data/val').glob('*.png'))
    arguments = ['--config', str(place.config), '--checkpoint', str(file), '--out', 'drawn']
    return run('infer', [str(picture), *arguments])


def publish(place: Place, file: Path) -> object:
    """``ge-det publish``."""
    return run('publish', [str(file), '--out', 'published/'])


def resume_classifier(place: Place, file: Path) -> object:
    """``ge-det train-classifier --resume FILE``."""
    arguments = [str(place.classifier_config), '--work-dir', 'run', '--resume', str(file)]
    return run('train-classifier', arguments)


def mmdets_resume(place: Place, file: Path) -> object:
    """mmdet's own ``train.py --resume FILE``: nothing of ours but the types in the config."""
    os.environ.pop('TORCH_FORCE_WEIGHTS_ONLY_LOAD', None)
    sys.argv = ['train.py', *place.train_arguments('run'), '--resume', str(file)]
    return runpy.run_path(str(find_script('train')), run_name='__main__') and 0


ENTRIES: dict[str, Entry] = {
    'pretrained=': pretrained,
    'import-weights': import_weights,
    'load_from': load_from,
    '--resume': resume,
    'test': test,
    'infer': infer,
    'publish': publish,
    'classifier': resume_classifier,
    "mmdet's train.py": mmdets_resume,
}
