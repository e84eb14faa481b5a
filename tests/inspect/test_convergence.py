"""Training curves of a network beside those of a plain one, from the logs of their work dirs."""

import json

from ge_det.cli.inspecting.sections import convergence_section
from ge_det.inspect.convergence import draw_convergence
from ge_det.report.history import read_history


def work_dir(folder, losses, metric, values):
    """Two records of iterations an epoch."""
    train = [
        dict(step=5 * place, epoch=(place + 1) // 2, loss=loss, lr=0.1)
        for place, loss in enumerate(losses, 1)
    ]
    val = [{'step': place, metric: value, 'time': 1} for place, value in enumerate(values, 1)]
    file = folder / '20260101_000000/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, [*train, *val])))
    return folder


def test_loss_and_precision_of_two_networks(tmp_path):
    losses = [9, 3, 8, 1]
    gated = work_dir(tmp_path / 'gated', losses, 'coco/bbox_mAP', [0.25, 0.5])
    plain = work_dir(tmp_path / 'plain', losses[::-1], 'coco/bbox_mAP', [0.125])
    section = convergence_section(str(gated / 'best.pth'), str(plain / 'best.pth'))
    (figure,) = section.figures
    assert figure.png.startswith(b'\x89PNG') and 'unlike data' in figure.caption
    # The median of a record and its neighbours.
    loss = figure.numbers['Loss in training']
    assert loss['this network'] == [(0.5, 6), (1, 8), (1.5, 3), (2, 4.5)]
    assert loss['plain network'][0] == (0.5, 4.5)
    assert figure.numbers['AP on the val set'] == {
        'this network': [(1, 25), (2, 50)],
        'plain network': [(1, 12.5)],
    }


def test_of_a_classifier_top_1_is_in_percent_already(tmp_path):
    folder = work_dir(tmp_path / 'a', [2, 1], 'accuracy/top1', [61.5])
    figure = draw_convergence({'this network': read_history(folder)})
    assert figure.numbers['Top-1 on the val set'] == {'this network': [(1, 61.5)]}
    assert 'unlike data' not in figure.caption


def test_weights_without_logs_beside_them(tmp_path):
    assert convergence_section(str(tmp_path / 'a.pth'), None) is None
    assert convergence_section('https://example.org/a.pth', None) is None
