"""Each command refuses unsound weights and another model's, and tells which of several it takes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import exit_code
from mmengine.logging import MessageHub, MMLogger
from tiny_detector import tiny_detector
from torch import Tensor

from ge_det.cli.preflight import build_without_memory
from ge_det.datasets.scene_classes import CLASSES

State = dict[str, Tensor]
FAULTS: dict[str, tuple[Callable[[State], State], str]] = {
    'unsound': (
        lambda state: {**state, 'backbone.conv1.weight': state['backbone.conv1.weight'] / 0},
        "conv1.weight' holds infinity",
    ),
    'half': (lambda state: dict(list(state.items())[::2]), "tensors are missing, the first '"),
}
COMMANDS = {
    'test': 'test tiny.py x.pth',
    'resume': 'train tiny.py --resume x.pth',
    'load_from': 'train tiny.py --cfg-options load_from=x.pth',
    'infer': 'infer data/val --config tiny.py --checkpoint x.pth --out out',
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny detector's config and data."""
    folder = tmp_path_factory.mktemp('wrong')
    tiny_detector(folder / 'data', 1).dump(folder / 'tiny.py')
    return folder


@pytest.fixture(scope='module')
def state(folder: Path) -> State:
    model = build_without_memory(str(folder / 'tiny.py')).to_empty(device='cpu')
    return {name: torch.ones_like(value) for name, value in model.state_dict().items()}


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own, in this folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'argv', ['ge-det'])
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('LOCAL_RANK', '0')
    for kind in (MMLogger, MessageHub):
        monkeypatch.setattr(kind, '_instance_dict', type(kind._instance_dict)())


@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.parametrize('fault', FAULTS)
def test_every_command_refuses_it(
    folder: Path, state: State, command: str, fault: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    prepare(folder, monkeypatch)
    change, reason = FAULTS[fault]
    training = dict(meta=dict(epoch=1, iter=3), optimizer={}, message_hub={})
    torch.save(dict(state_dict=change(state), **training), 'x.pth')
    assert exit_code(*COMMANDS[command].split()) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and 'x.pth' in said and reason in said
    assert not list(folder.glob('work_dirs/*/*.pth')) and not (folder / 'out').exists()


@pytest.mark.parametrize('command', [name for name in COMMANDS if name != 'load_from'])
def test_a_training_with_the_classes_in_another_order(
    command: str, folder: Path, state: State, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    prepare(folder, monkeypatch)
    meta = dict(dataset_meta=dict(classes=CLASSES[::-1]), epoch=1, iter=3)
    torch.save(dict(state_dict=state, meta=meta, optimizer={}, message_hub={}), 'x.pth')
    assert exit_code(*COMMANDS[command].split()) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and 'x.pth was trained with the classes in another order' in said
    assert said.index(CLASSES[-1]) < said.index(CLASSES[0])


@pytest.mark.parametrize('role', ['train', 'val', 'test'])
def test_a_file_with_the_classes_in_another_order(
    role: str, folder: Path, state: State, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    prepare(folder, monkeypatch)
    torch.save(dict(state_dict=state, meta={}), 'x.pth')
    command = 'test tiny.py x.pth' if role == 'test' else 'train tiny.py'
    names = ','.join(CLASSES[::-1])
    option = f'{role}_dataloader.dataset.metainfo.classes=[{names}]'
    assert exit_code(*command.split(), '--work-dir', 'none', '--cfg-options', option) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and 'mmdet numbers the classes as this file lists them' in said


@pytest.mark.parametrize(
    'command', [COMMANDS['infer'], 'test tiny.py x.pth', 'publish x.pth --out out/small']
)
def test_which_of_several_sets_is_taken(
    folder: Path, state: State, command: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    prepare(folder, monkeypatch)
    torch.save(dict(model=state, ema=dict(module=state)), 'x.pth')
    assert exit_code(*command.split()) == 0
    shown = capsys.readouterr()
    assert "x.pth: of several sets of weights in it, 'model' was taken" in shown.out + shown.err
