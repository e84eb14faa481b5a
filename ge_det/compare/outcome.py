"""What a comparison found: a table, a picture and the sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from ge_det.compare.cells import KINDS, Cell
from ge_det.compare.verdict import Gain, Score, gains, sentence
from ge_det.files import write_whole
from ge_det.words import counted

_LITTLE = 1.0  # Percent of AP, below which nothing is learnt yet.


@dataclass(frozen=True)
class Outcome:
    """The cells of a comparison, and why some failed.

    Args:
        cells (Sequence[Cell]): All that were planned.
        baseline (str): Which attention the others are compared with.
        failed (Mapping[str, str]): A line by name of a cell.
    """

    cells: Sequence[Cell]
    baseline: str
    failed: Mapping[str, str]

    def scores(self, kind: str) -> dict[str, dict[int, Score]]:
        """By attention and seed, of the cells that are done."""
        found: dict[str, dict[int, Score]] = {cell.attention: {} for cell in self.cells}
        for cell in self.cells:
            if (score := cell.scores().get(kind)) is not None:
                found[cell.attention][cell.seed] = score
        return found

    def kinds(self) -> list[str]:
        """What was measured; masks first, which who has them wants."""
        there = {kind for cell in self.cells for kind in cell.scores()}
        return [kind for kind in reversed(KINDS) if kind in there]

    def sentence(self) -> str:
        """Which is ahead, by how much, whether that is more than the noise, and what failed."""
        kind = next(iter(self.kinds()), 'bbox')
        scores = self.scores(kind)
        told = sentence(gains(scores, self.baseline), self.baseline, KINDS[kind])
        every = [score.ap for by_seed in scores.values() for score in by_seed.values()]
        if every and max(every) < _LITTLE:
            told += f'; no training got beyond {max(every):.1f} {KINDS[kind]}: train longer'
        if self.failed:
            names, all_ = ', '.join(self.failed), counted(len(self.cells), 'training')
            told += f'; {len(self.failed)} of {all_} failed: {names}'
        return told

    def table(self, kind: str) -> str:
        """A row for each block, in Markdown."""
        scores = self.scores(kind)
        seeds = list(dict.fromkeys(cell.seed for cell in self.cells))
        by_block = {gain.attention: gain for gain in gains(scores, self.baseline)}
        header = ['attention', KINDS[kind], *(f'seed {seed}' for seed in seeds)]
        rows = [[*header, f'over {self.baseline}', '95 % interval']]
        for name, by_seed in scores.items():
            values = [score.ap for score in by_seed.values()]
            single = [f'{by_seed[seed].ap:.1f}' if seed in by_seed else '-' for seed in seeds]
            rows.append([name, _mean(values), *single, *_gain(by_block.get(name))])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        rows.insert(1, ['-' * width for width in widths])
        lines = [' | '.join(map(str.ljust, row, widths)) for row in rows]
        return '\n'.join(f'| {line} |' for line in lines)

    def write(self, folder: Path, title: str, command: str) -> list[Path]:
        """Write ``compare.md`` and ``compare.png``; returns them.

        Args:
            folder (Path): Where to.
            title (str): Heading.
            command (str): What goes on with it.
        """
        files = [folder / 'compare.md', folder / 'compare.png']
        write_whole(files[0], self._markdown(title, command).encode('utf-8'))
        write_whole(files[1], self._draw)
        return files

    def _markdown(self, title: str, command: str) -> str:
        others = len({cell.attention for cell in self.cells}) - 1
        wider = f', wider since {others} blocks are compared (Bonferroni)' if others > 1 else ''
        pieces = [f'# {title}', f'**{self.sentence()}**', *map(self.table, self.kinds())]
        pieces += [
            '![A dot for each seed, lines between those of one seed, bars for means](compare.png)',
            'AP in percent after the last epoch: mean and standard deviation over the seeds, then '
            'each seed. Trainings of one seed start from the same weights and see the same '
            'pictures, so differences are taken seed by seed. Intervals are over seeds and '
            f'validation pictures{wider}. Pictures are taken as independent: frames of one scene '
            'make intervals too narrow.',
            *(f'Failed: {name}: `{why}`' for name, why in self.failed.items()),
            f'By `{command}`, which also goes on with what is left.',
        ]
        return '\n\n'.join(pieces) + '\n'

    def _draw(self, out: Path) -> None:
        from matplotlib.figure import Figure

        kinds = self.kinds() or ['bbox']
        names = list(dict.fromkeys(cell.attention for cell in self.cells))
        figure = Figure(figsize=((1.6 + 0.9 * len(names)) * len(kinds), 3.6), layout='constrained')
        for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
            scores = self.scores(kind)
            for seed in dict.fromkeys(cell.seed for cell in self.cells):
                line = [
                    scores[name][seed].ap if seed in scores[name] else math.nan for name in names
                ]
                axes.plot(range(len(names)), line, color='#bbbbbb', linewidth=0.8, zorder=1)
                axes.scatter(range(len(names)), line, color='#0072b2', s=22, zorder=3)
            for place, name in enumerate(names):
                if scores[name]:
                    mean = fmean(score.ap for score in scores[name].values())
                    ends = [place - 0.25, place + 0.25]
                    axes.plot(ends, [mean, mean], color='#d55e00', linewidth=2.5, zorder=2)
            axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 4 else 0)
            axes.set_xlim(-0.6, len(names) - 0.4)
            axes.set_ylabel(f'{KINDS[kind]}, %')
            axes.grid(axis='y', alpha=0.3)
            axes.spines[['top', 'right']].set_visible(False)
        figure.savefig(out, dpi=130, format='png', metadata={'Software': None})


def _mean(values: Sequence[float]) -> str:
    if not values:
        return 'failed'
    return f'{fmean(values):.1f}' + (f' ± {stdev(values):.1f}' if len(values) > 1 else '')


def _gain(gain: Gain | None) -> tuple[str, str]:
    if gain is None:
        return '', ''
    known = not math.isnan(gain.low)
    return f'{gain.mean:+.1f}', f'{gain.low:+.1f} to {gain.high:+.1f}' if known else 'unknown'
