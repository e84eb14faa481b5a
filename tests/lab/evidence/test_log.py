"""Reading MMEngine's scalar logs."""

import json

from lab.evidence.results.log import iterations_done, read_scalars, training_records


def write(work_dir, run, *records, tail=''):
    folder = work_dir / run / 'vis_data'
    folder.mkdir(parents=True)
    lines = [json.dumps(record) for record in records]
    (folder / 'scalars.json').write_text('\n'.join(lines) + '\n' + tail)


def test_a_resumed_run_overrides_the_steps_it_repeats(tmp_path):
    write(
        tmp_path,
        '20260101_000000',
        dict(loss=3.0, iter=10, step=10),
        {'coco/bbox_mAP': 0.1, 'step': 1},
        dict(loss=2.0, iter=20, step=20),
        tail='{"loss": 1.5, "it',  # killed while writing
    )
    write(tmp_path, '20260101_000100', dict(loss=2.5, iter=20, step=20))
    training = training_records(tmp_path)
    assert [(r['step'], r['loss']) for r in training] == [(10, 3.0), (20, 2.5)]
    validation = [record for record in read_scalars(tmp_path) if record not in training]
    assert [record['coco/bbox_mAP'] for record in validation] == [0.1]
    assert iterations_done(tmp_path) == 20


def test_nothing_yet(tmp_path):
    assert iterations_done(tmp_path) == 0
    assert read_scalars(tmp_path / 'nowhere') == []
