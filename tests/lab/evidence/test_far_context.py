"""The matrices on context beyond the field of view: what their networks see, and gates' rates."""

from pathlib import Path
from statistics import fmean

import pytest
from field_of_view import field_of_view
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.optim import build_optim_wrapper

from lab.evidence.matrix.config import resolve_config
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.results.result import CellResult

CONFIGS = Path(__file__).parents[3] / 'lab/configs'
EVIDENCE = CONFIGS.parents[1] / 'docs/evidence'
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


def far_context_cells(block):
    """AP of the context classes by test, a list over the seeds that were run."""
    name = f'two-stages_r50{block and f"-{block}"}_far-context_trained-on_attached_seed*.json'
    files = sorted((EVIDENCE / 'far-context/cells').glob(name))
    metrics = [CellResult.read(file).metrics['bbox'] for file in files]
    return {
        test: [100 * found[f'context{test}']['AP'] for found in metrics]
        for test in ('', ', no-marks', ', swapped')
    }


def test_the_page_says_what_the_cells_found():
    page = (EVIDENCE / 'README.md').read_text(encoding='utf-8')
    header = (
        "| block | seeds that read the marks | as drawn | without marks | with the other scene's |"
    )
    lines = page[page.index(header) :].split('\n\n')[0].splitlines()[2:]
    expected = []
    for name in Matrix.read(CONFIGS / 'far-context.yaml').attention:
        found = far_context_cells('' if name == 'none' else name)
        reads = sum(value > 75 for value in found[''])  # Half are guessed right without them.
        values = (', '.join(f'{v:.1f}' for v in row) for row in found.values())
        title = 'plain' if name == 'none' else f'`{name}`'
        expected.append(f'| {title} | {reads} of {len(found[""])} | {" | ".join(values)} |')
    assert lines == expected


def test_the_readme_says_what_se_reads():
    readme = (EVIDENCE.parents[1] / 'README.md').read_text(encoding='utf-8')
    se, plain = (fmean(far_context_cells(block)['']) for block in ('se', ''))
    assert f'{se:.0f} AP against {plain:.0f}' in ' '.join(readme.split())
