"""What is done once in this process, so that none of the tries, its forks, does it again."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any

from lab.forked_python import forked_python


@contextmanager
def quick_forks() -> Iterator[None]:
    """Have forks of this process begin where a command has imported all it needs.

    What they start in processes of their own, as a matrix does its cells, are forks as well.
    """
    from mmengine.config import config

    _import_all()
    laid_out, config.FormatCode = config.FormatCode, _once_a_text(config.FormatCode)
    gc.collect()
    gc.freeze()  # MMEngine's data sets collect garbage, which would look at all of this each time.
    try:
        with forked_python():
            yield
    finally:
        config.FormatCode = laid_out
        gc.unfreeze()


def _import_all() -> None:
    from ge_det.compat.peers import use_peers

    use_peers()
    for name in ('mmdet.apis', 'mmdet.engine', 'mmdet.evaluation', 'mmpretrain.models'):
        importlib.import_module(name)
    for package in ('ge_det', 'lab.evidence'):
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f'{package}.', lambda name: None):
            if not module.name.endswith('__main__'):
                with suppress(ImportError):  # Of what is not installed here, such as Triton.
                    importlib.import_module(module.name)


def _once_a_text(lay_out: Callable[..., Any]) -> Callable[..., Any]:
    """MMEngine lays out the text of the config, half a second, for each log and checkpoint."""
    known: dict[str, Any] = {}

    @wraps(lay_out)
    def remembered(text: str, **options: Any) -> Any:
        if text not in known:
            known[text] = lay_out(text, **options)
        return known[text]

    return remembered
