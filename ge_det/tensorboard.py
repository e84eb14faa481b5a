"""MMEngine's backend for TensorBoard, which does nothing where TensorBoard is not installed."""

from __future__ import annotations

from typing import Any

from mmengine.visualization.vis_backend import TensorboardVisBackend

from ge_det.registry import VISBACKENDS


@VISBACKENDS.register_module()
class TensorBoard(TensorboardVisBackend):
    """Writes the figures of a training for ``tensorboard --logdir WORK_DIR``, if that is there.

    Whether it is, is looked at when a training starts: a config with it works anywhere. In a
    config: ``visualizer = dict(vis_backends=[dict(type='LocalVisBackend'),
    dict(type='ge_det.TensorBoard')])``.

    Args:
        save_dir (str): Folder for its files.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        try:
            import torch.utils.tensorboard  # noqa: F401

            self._is_installed = True
        except ImportError:  # Or one that does not go with this NumPy or protobuf.
            self._is_installed = False

    def add_config(self, *args: Any, **kwargs: Any) -> None:
        """Keep the config."""
        if self._is_installed:
            super().add_config(*args, **kwargs)

    def add_image(self, *args: Any, **kwargs: Any) -> None:
        """Keep a picture."""
        if self._is_installed:
            super().add_image(*args, **kwargs)

    def add_scalar(self, *args: Any, **kwargs: Any) -> None:
        """Keep a figure."""
        if self._is_installed:
            super().add_scalar(*args, **kwargs)

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        """Keep several figures."""
        if self._is_installed:
            super().add_scalars(*args, **kwargs)
