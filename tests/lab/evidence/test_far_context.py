"""The matrices on context beyond the field of view: what their networks see, and gates' rates."""

from pathlib import Path

import pytest
import torch
from field_of_view import field_of_view, moved_by_marks
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.optim import build_optim_wrapper

from lab.evidence.matrix.config import resolve_config
from lab.evidence.matrix.matrix import Matrix

CONFIGS = Path(__file__).parents[3] / 'lab/configs'
NAMES = ('far-context', 'far-context-extents', 'far-context-whole', 'clearance')


def plain_cells(name):
    """The plain detector of each data set, of the first seed."""
    cells = Matrix.read(CONFIGS / f'{name}.yaml').cells()
    return {cell.key.data: cell for cell in reversed(cells) if cell.is_start}


def built(config):
    register_all_modules(init_default_scope=True)
    model = MODELS.build(config.model)
    model.backbone.init_cfg = None
    return model


@pytest.mark.parametrize('name', NAMES)
def test_cells_of_a_seed_go_on_from_one_plain_detector(name):
    cells = Matrix.read(CONFIGS / f'{name}.yaml').cells()
    trained = {cell.key: cell for cell in cells if cell.is_start}
    for cell in cells:
        if not cell.is_start:
            start = trained[cell.needs]
            assert start.key[::6] == cell.key[::6]  # Data and seed.
            assert start.data == cell.data and start.base == cell.base and not start.options


@pytest.mark.parametrize(
    ('name', 'data', 'sees_marks'),
    [
        ('far-context', 'far-context', False),
        ('far-context-whole', 'far-context', True),
        ('clearance', 'clear-8', True),
        ('clearance', 'clear-32', True),
        ('clearance', 'far-context', False),
    ],
)
def test_the_field_of_view_by_gradient_ends_where_the_matrix_says(name, data, sees_marks):
    cell = plain_cells(name)[data]
    shapes = cell.data.generator()
    seen = field_of_view(built(resolve_config(cell)), shapes, pictures=3)
    assert seen.marks is sees_marks
    if not sees_marks:
        assert 50 < seen.reach < 64 <= shapes.cue_clearance


def test_gates_see_the_marks_that_the_trunk_cannot():
    moved = {}
    for name in NAMES[:2]:  # They have all blocks between them.
        for cell in Matrix.read(CONFIGS / f'{name}.yaml').cells():
            if not cell.is_start and cell.key.seed == 0:
                torch.manual_seed(0)
                detector = built(resolve_config(cell))
                if cell.key.attention == 'sge':  # Its gates begin as constants.
                    for gate in detector.backbone.gates().values():
                        gate.weight.data.normal_()
                moved[cell.key.attention] = moved_by_marks(detector, cell.data.generator())
    assert moved.pop('none') == 0
    near = {block for block in moved if block.endswith(('-e2', '-e4'))}
    seen = {block for block, change in moved.items() if change > 1e-10}
    assert len(near) == 6 and seen == moved.keys() - near


@pytest.mark.parametrize('name', NAMES[:2])  # They have all blocks between them.
def test_gates_and_nothing_else_learn_five_times_as_fast(name):
    cells = Matrix.read(CONFIGS / f'{name}.yaml').cells()
    for cell in {cell.key.attention: cell for cell in cells if not cell.is_start}.values():
        config = resolve_config(cell)
        backbone = built(config).backbone
        gates = {id(p) for gate in backbone.gates().values() for p in gate.parameters()}
        optimizer = build_optim_wrapper(backbone, config.optim_wrapper).optimizer
        rates = {id(p): group['lr'] for group in optimizer.param_groups for p in group['params']}
        assert gates <= rates.keys()  # None is frozen with its stage.
        for parameter, rate in rates.items():
            expected = 5e-3 if parameter in gates else 1e-3
            assert rate == pytest.approx(expected), cell.key.name
