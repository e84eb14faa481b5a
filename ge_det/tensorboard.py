"""MMEngine's backend for TensorBoard, or one that does nothing where that is not installed."""

from __future__ import annotations

from mmengine.visualization.vis_backend import BaseVisBackend, TensorboardVisBackend

__all__ = ['TensorBoard']


def TensorBoard(save_dir: str) -> BaseVisBackend:
    """What writes the figures of a training for ``tensorboard --logdir WORK_DIR``.

    Whether TensorBoard is there is looked at when a training starts: a config with it works
    anywhere. In a config: ``visualizer = dict(vis_backends=[dict(type='LocalVisBackend'),
    dict(type='ge_det.TensorBoard')])``.

    Args:
        save_dir (str): Folder for its files.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:  # Or one that does not go with this NumPy or protobuf.
        return _Nothing(save_dir)
    return TensorboardVisBackend(save_dir)


class _Nothing(BaseVisBackend):
    """Keeps nothing."""

    @property
    def experiment(self) -> None:
        return None

    def _init_env(self) -> None:
        pass
