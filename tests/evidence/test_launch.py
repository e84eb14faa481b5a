"""Command lines of trainings on one process, several GPUs, and Slurm."""

import sys

from ge_det.evidence.experiment import Experiment
from ge_det.evidence.launch import Launch


def test_one_process(tmp_path):
    assert Launch().command('train.py', 'a.py', '--resume') == [
        sys.executable, 'train.py', 'a.py', '--resume',
    ]  # fmt: skip


def test_torchrun():
    words = Launch.gpus(4).command('-m', 'ge_det.classifier_training', 'a.py', '--work-dir', 'b')
    assert ' '.join(words[1:]) == (
        '-m torch.distributed.run --standalone --nproc_per_node=4 '
        '-m ge_det.classifier_training a.py --launcher pytorch --work-dir b'
    )


def test_slurm_takes_whole_nodes_and_its_own_options():
    words = Launch.slurm('fast', 16, extra=['--time=8:00:00']).command('train.py', 'a.py')
    assert words[0] == 'srun' and words[-4:] == ['train.py', 'a.py', '--launcher', 'slurm']
    assert '--partition=fast' in words and '--time=8:00:00' in words
    assert '--ntasks=16' in words and '--gres=gpu:8' in words and '--ntasks-per-node=8' in words
    assert '--gres=gpu:2' in Launch.slurm('fast', 2).before


def test_the_rate_follows_the_number_of_processes(tmp_path):
    experiment = Experiment('a', tmp_path / 'a.py', tmp_path, launch=Launch.gpus(2))
    assert experiment.training_command('--resume')[-2:] == ['--resume', '--auto-scale-lr']
    assert '--auto-scale-lr' not in Experiment('a', tmp_path, tmp_path).training_command()
