"""The sections of the page."""

from __future__ import annotations

from ge_det.cli.inspecting.looking import Looked
from ge_det.files import expanded
from ge_det.inspect.convergence import draw_convergence
from ge_det.inspect.excitation import draw_excitation
from ge_det.inspect.gate_table import COLUMNS, conclusion, draw_statistics, gate_table
from ge_det.inspect.maps import draw_maps
from ge_det.inspect.page import Section
from ge_det.report.history import read_history


def gates_section(looked: Looked) -> Section:
    """Statistics of the gates."""
    summaries = looked.statistics.summaries()
    return Section(
        'The gates', [conclusion(summaries), COLUMNS], draw_statistics(summaries),
        gate_table(summaries),
    )  # fmt: skip


def convergence_section(checkpoint: str, plain: str | None) -> Section | None:
    """Training curves, from the work dirs that the weights lie in; None without their logs."""
    files = {'this network': checkpoint, 'plain network': plain}
    histories = {
        name: read_history(expanded(file).parent)
        for name, file in files.items()
        if file is not None and '://' not in file
    }
    figure = draw_convergence(histories)
    return None if figure is None else Section('Convergence', [], [figure])


def maps_section(looked: Looked) -> Section | None:
    """Maps over the pictures; None of gates that have no place."""
    figures = [
        figure
        for number, one in enumerate(looked.shown)
        for figure in draw_maps(looked.maps.maps, number, one.image, one.photo.name, one.area)
    ]
    if not figures:
        return None
    text = ['Each map is scaled to its own lowest and highest value, which stand above it.']
    return Section('Where gates are open', text, figures)


def excitation_section(looked: Looked, is_detector: bool) -> Section:
    """Curves by class."""
    text = []
    if not looked.excitation.classes:
        text = [
            'Nothing is known of what is in the pictures, so all of them are one curve: give a '
            + ('COCO file' if is_detector else 'folder with one folder of pictures for each class')
            + '.'
        ]
    elif is_detector:
        text = ['A gate of a detector is one for the whole picture, so a class stands for the '
                'pictures that hold an object of it.']  # fmt: skip
    return Section('Excitation', text, draw_excitation(looked.excitation))
