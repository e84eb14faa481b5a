"""Have a test leave the config of the training in its work dir as it is.

MMEngine writes the config of every run into the work dir, by one name: that of a test names the
checkpoint as ``load_from``, has the changes of its ``--cfg-options``, and with ``--tta`` another
model. What takes a work dir later takes the config in it for the training's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.runner import FlexibleRunner, Runner


@master_only
def dump_beside_log(runner: Any) -> None:
    """Write the config of a run into the folder of its log; stands in for ``dump_config``."""
    name = Path(runner.cfg.filename or f'{runner.timestamp}.py').name
    runner.cfg.dump(Path(runner._log_dir, name))


@contextmanager
def configs_beside_logs() -> Iterator[None]:
    """Have every runner do so as long as this lasts."""
    before = [(kind, kind.dump_config) for kind in (Runner, FlexibleRunner)]
    try:
        for kind, _ in before:
            setattr(kind, 'dump_config', dump_beside_log)  # noqa: B010
        yield
    finally:
        for kind, method in before:
            setattr(kind, 'dump_config', method)  # noqa: B010
