"""What detections follow from, in the pictures that are shown."""

from __future__ import annotations

import importlib.util

from ge_det.cli.inspecting.looking import Looked
from ge_det.errors import UserError
from ge_det.inspect.figure import Figure
from ge_det.inspect.networks import Detector
from ge_det.inspect.page import Section


def grad_cam_section(network: Detector, looked: Looked, score_thr: float) -> Section:
    """Grad-CAM of the surest detections; a note where it cannot be drawn."""
    if importlib.util.find_spec('pytorch_grad_cam') is None:
        return _note("Grad-CAM needs the library pytorch-grad-cam: pip install 'ge-det[inspect]'.")
    from ge_det.inspect.grad_cam import explain_detections
    from ge_det.inspect.grad_cam_figure import draw_explanations

    figures: list[Figure] = []
    for one in looked.shown:
        prepared = network.read(one.photo.path)
        explained = {}
        for method in ('GradCAM', 'HiResCAM'):
            try:
                explained[method] = explain_detections(
                    network.model, prepared.data, score_thr=score_thr, method=method
                )
            except UserError as error:
                return _note(f'There is no Grad-CAM of this detector: {error}.')
        if any(explained.values()):
            figures.append(
                draw_explanations(prepared.original, explained, network.names, one.photo.name)
            )
    if looked.shown and not figures:
        return _note(f'Nothing is detected in the pictures shown over a score of {score_thr}.')
    return Section('What detections follow from', [], figures)


def _note(text: str) -> Section:
    return Section('What detections follow from', [text])
