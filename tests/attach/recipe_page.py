"""The recipes of docs/other-networks.md, and what holds of each."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from ge_det.blocks import AttentionBlock

PAGE = (Path(__file__).parents[2] / 'docs/other-networks.md').read_text(encoding='utf-8')
RANDOM = ("weights='DEFAULT'", 'weights=None, weights_backbone=None')


def recipe(heading, *replaced, number=0, kind='python'):
    """The code under a heading, in its paragraphs; the formatter keeps imports one of their own."""
    section = PAGE[PAGE.index(f'\n## {heading}') + 1 :].split('\n## ')[0]
    code = re.findall(rf'```{kind}\n(.*?)```', section, re.DOTALL)[number]
    for old, new in replaced:
        assert old in code, old
        code = code.replace(old, new)
    return code.split('\n\n')


def tensors(output):
    if isinstance(output, torch.Tensor):
        return [output] if output.is_floating_point() else []
    parts = output.values() if isinstance(output, Mapping) else output
    return [tensor for part in parts for tensor in tensors(part)]


@torch.no_grad()
def outputs(model, inputs):
    """What a model makes of its inputs, or what a function of the model returns."""
    model.eval()
    if callable(inputs):
        return tensors(inputs(model))
    return tensors(model(**inputs) if isinstance(inputs, dict) else model(inputs))


def run(code, name, batch, inputs):
    """Build, put gates in, train: the outputs stay, and then every gate moves."""
    *build, attach, train = code
    names = dict(batches=[batch])
    exec('\n'.join(build), names)
    model = names[name]
    before = outputs(model, inputs)
    exec(attach, names)
    after = outputs(model, inputs)
    assert len(before) == len(after) > 0
    for old, new in zip(before, after, strict=True):
        assert old.any() and old.shape == new.shape
        assert (new - old).norm() <= 1e-5 * old.norm()
    train_moves(model, train, names)
    return model


def train_moves(model, train, names):
    gates = {n: m for n, m in model.named_modules() if isinstance(m, AttentionBlock)}
    assert gates
    begun = {name: copy.deepcopy(gate.state_dict()) for name, gate in gates.items()}
    model.train()
    exec(train, names)
    for name, gate in gates.items():
        moved = [not torch.equal(p, begun[name][key]) for key, p in gate.named_parameters()]
        assert any(moved), name


def masks():
    images = torch.rand(2, 3, 32, 32)
    return (images, torch.randint(0, 21, (2, 32, 32))), images
