"""Command lines of trainings, what they resume from, and how they fail."""

import sys
from dataclasses import replace

import pytest
import torch

from ge_det.errors import UserError
from lab.evidence.training.experiment import Experiment, find_resumable
from lab.evidence.training.launch import Launch


def experiment(work_dir, **options):
    return Experiment('a', 'x = 1\n', work_dir, work_dir / 'epoch_1.pth', **options)


TOOL = ('-m', 'ge_det.cli.train_classifier')


def test_one_process(tmp_path):
    assert Launch().command(['train.py'], 'a.py', '--resume') == [
        sys.executable, 'train.py', 'a.py', '--resume',
    ]  # fmt: skip


def test_torchrun():
    words = Launch.gpus(4).command(TOOL, 'a.py', '--work-dir', 'b')
    assert ' '.join(words[1:]) == (
        '-m torch.distributed.run --standalone --nproc_per_node=4 '
        '-m ge_det.cli.train_classifier a.py --launcher pytorch --work-dir b'
    )


def test_slurm_takes_whole_nodes_and_its_own_options():
    words = Launch.slurm('fast', 16, extra=['--time=8:00:00']).command(['train.py'], 'a.py')
    assert words[0] == 'srun' and words[-4:] == ['train.py', 'a.py', '--launcher', 'slurm']
    assert '--partition=fast' in words and '--time=8:00:00' in words
    assert '--ntasks=16' in words and '--gres=gpu:8' in words and '--ntasks-per-node=8' in words
    assert '--gres=gpu:2' in Launch.slurm('fast', 2).before


def test_the_rate_follows_the_number_of_pictures(tmp_path):
    command = experiment(tmp_path, scale_rate=True).training_command
    assert '--auto-scale-lr' in command('--resume')
    assert '--auto-scale-lr' not in experiment(tmp_path).training_command()
    # Takes many values, so nothing may come after it.
    assert command('--resume')[-2] == '--cfg-options'
    assert command()[-1] == 'default_hooks.checkpoint.max_keep_ckpts=2'


def save(work_dir, epoch):
    meta, hub = dict(epoch=epoch, iter=epoch), dict(log_scalars={})
    content = dict(state_dict={}, optimizer={}, message_hub=hub, meta=meta)
    torch.save(content, work_dir / f'epoch_{epoch}.pth')


@pytest.mark.parametrize('note', ['', 'epoch_3.pth', 'gone.pth', '\0', 'x' * 5000, '\ud800'])
def test_a_note_that_a_kill_spoilt_is_mended(tmp_path, note):
    save(tmp_path, 2)
    save(tmp_path, 10)
    whole = (tmp_path / 'epoch_2.pth').read_bytes()
    (tmp_path / 'epoch_3.pth').write_bytes(whole[: len(whole) // 2])
    content = str(tmp_path / note) if note else ''
    (tmp_path / 'last_checkpoint').write_bytes(content.encode('utf-8', 'surrogatepass'))
    assert find_resumable(tmp_path)
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_10.pth')
    assert (tmp_path / 'epoch_3.pth.damaged').read_bytes() == whole[: len(whole) // 2]


def test_without_a_whole_checkpoint_the_training_begins_anew(tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'PK')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    assert not find_resumable(tmp_path)
    assert not (tmp_path / 'last_checkpoint').exists()


def test_a_failure_is_told_by_its_error_not_by_what_launchers_add(tmp_path):
    failed = experiment(tmp_path)
    log = tmp_path / 'console.log'
    log.write_text('Traceback\nValueError: no such thing\n=====\nexited with 1\n')
    assert str(failed.failure()).startswith('a: ValueError: no such thing')
    log.write_text('the last word\n')
    assert str(failed.failure()).startswith('a: the last word')


def test_a_work_dir_belongs_to_one_config_and_its_inputs(tmp_path):
    data = tmp_path / 'train.json'
    data.write_text('1')
    own = experiment(tmp_path / 'run', inputs=(data,))
    own.claim()
    own.claim()
    assert own.config.read_text() == 'x = 1\n'
    data.write_text('2')
    with pytest.raises(UserError, match='holds a run of another a.py or other data'):
        own.claim()
    data.write_text('1')
    with pytest.raises(UserError, match='holds a run of another'):
        replace(own, text='x = 2\n').claim()
    assert own.config.read_text() == 'x = 1\n'


def test_a_control_of_other_weights_is_tested_again(tmp_path, capsys):
    weights = tmp_path / 'epoch_1.pth'
    weights.write_text('1')
    control = experiment(tmp_path / 'control', inputs=(weights,), is_control=True)
    control.claim()
    control.detections().write_text('[]')
    control.claim()
    assert control.detections().is_file()
    weights.write_text('2')
    control.claim()
    assert not control.detections().exists()
    assert (control.work_dir / 'run-1.damaged' / control.detections().name).is_file()
    assert 'which run it holds is not known' in capsys.readouterr().err
    assert control.test_command()[-1].endswith('control/test-unfinished')
