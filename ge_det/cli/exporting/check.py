"""Whether a file gives what PyTorch gives, at several sizes and batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ge_det.cli.exporting.graph import Graph, Size
from ge_det.errors import UserError
from ge_det.export.cases import (
    Case,
    as_instances,
    found_by,
    predict,
    prepare,
    rounded_otherwise,
)
from ge_det.export.parity import (
    Agreement,
    Tolerance,
    agree,
    deviation,
    first_difference,
    largest,
)
from ge_det.export.rows import Row
from ge_det.export.session import Found, Session
from ge_det.words import counted

Change = Callable[[Path, Path], object]
"""What makes another file of a file."""

TRIALS = 8
"""Where a detection differs: how often PyTorch looks again, at images changed by very little."""


@dataclass(frozen=True)
class Check:
    """The cases of a check, and what PyTorch gives for them.

    Args:
        graph (Graph): What was exported.
        pictures (Sequence[np.ndarray]): BGR, (h, w, 3) of ``uint8``.
        mask_threshold (float): From which a mask's probability counts as inside.
    """

    graph: Graph
    pictures: Sequence[np.ndarray]
    mask_threshold: float

    def cases(self) -> list[tuple[Size, list[Case]]]:
        """Each picture at each size, then several as one batch."""
        sizes = [self.graph.size, *self.graph.other_sizes()]
        found = [(size, [self._case([one], size) for one in self.pictures]) for size in sizes]
        if self.graph.dynamic:
            found.append((sizes[-1], [self._case(self.several(), sizes[-1])]))
        return found

    def several(self) -> list[np.ndarray]:
        """More than one picture, of different sizes, for a batch."""
        some = list(self.pictures[:2])
        if len(some) == 1:
            some.append(np.ascontiguousarray(some[0].transpose(1, 0, 2)))
        return some

    def _case(self, pictures: Sequence[np.ndarray], size: Size) -> Case:
        return prepare(self.graph.model, pictures, size)

    def rows(self, session: Session, tolerance: Tolerance) -> list[Row]:
        """Compare a file with PyTorch."""
        return [self._row(session, size, cases, tolerance) for size, cases in self.cases()]

    def _row(
        self, session: Session, size: Size, cases: Sequence[Case], tolerance: Tolerance
    ) -> Row:
        row = Row(size, len(cases[0].images))
        if not self.graph.is_detector:
            return replace(row, deviation=largest(self._off(session, case) for case in cases))
        agreement = Agreement()
        for case in cases:
            agreement += self._agreement(session, case, tolerance)
        return replace(row, agreement=agreement)

    def _agreement(self, session: Session, case: Case, tolerance: Tolerance) -> Agreement:
        most = self._most()
        expected = found_by(predict(self.graph.model, case))
        found = found_by(detect(session, case, self.mask_threshold))
        pairs = list(zip(expected, found, strict=True))
        whole = sum((agree(*pair, most, tolerance) for pair in pairs), Agreement())
        if not whole.lacking:
            return whole
        moved = [self._found_otherwise(case, seed, tolerance.change) for seed in range(TRIALS)]
        others = zip(*moved, strict=True)
        return sum(
            (agree(*pair, most, tolerance, more) for pair, more in zip(pairs, others, strict=True)),
            Agreement(),
        )

    def _found_otherwise(self, case: Case, seed: int, change: float) -> list[Found]:
        """What PyTorch finds where images and scores change by so little that rounding does it."""
        noise = torch.randn(case.images.shape, generator=torch.Generator().manual_seed(seed))
        near = replace(case, images=case.images * (1 + change * noise))
        with rounded_otherwise(self.graph.model, seed):
            return found_by(predict(self.graph.model, near))

    def _most(self) -> int:
        settings = self.graph.model.test_cfg or {}
        return int((settings.get('rcnn') or settings).get('max_per_img', 0))

    @torch.inference_mode()
    def _off(self, session: Session, case: Case) -> float:
        expected = self.graph.network()(case.images)
        got = session.run(case.images.numpy())
        pairs = zip(expected, got.values(), strict=True)
        return largest(deviation(one.numpy(), other) for one, other in pairs)

    def first_stage(
        self, row: Row, tolerance: Tolerance, change: Change | None
    ) -> tuple[str, float] | None:
        """The first stage at which a file is off in the cases of a row; None if none is."""
        batches = [[one] for one in self.pictures] if row.batch == 1 else [self.several()]
        cases = [self._case(pictures, row.size) for pictures in batches]
        with TemporaryDirectory() as folder:
            file = Path(folder) / 'stages.onnx'
            self.graph.write(file, with_stages=True)
            if change is not None:
                change(file, file)
            session = Session(file)
            found = (self._first_stage(session, case, tolerance) for case in cases)
            return next((stage for stage in found if stage is not None), None)

    @torch.inference_mode()
    def _first_stage(
        self, session: Session, case: Case, tolerance: Tolerance
    ) -> tuple[str, float] | None:
        network: Any = self.graph.network(with_stages=True)
        outputs = network(*self.graph.inputs(case.images, case.sizes))
        got = session.run(case.images.numpy(), case.sizes.numpy())
        named = dict(zip(network.names, (one.numpy() for one in outputs), strict=True))
        last = [name for name in ('boxes', 'scores', 'labels', 'masks') if name in named]
        order = [name for name in named if name not in last] + last
        return first_difference({name: named[name] for name in order}, got, tolerance.deviation)


def detect(session: Session, case: Case, mask_threshold: float) -> list[Any]:
    """What a file finds, as mmdet has it."""
    samples = [sample.clone() for sample in case.samples]
    for sample, found in zip(samples, session.detect(case.images.numpy(), case.sizes.numpy())):  # noqa: B905
        sample.pred_instances = as_instances(found, sample, mask_threshold)
    return samples


def refuse(
    check: Check,
    rows: Sequence[Row],
    tolerance: Tolerance,
    out: Path,
    change: Change | None = None,
) -> None:
    """Raise a UserError if a row is off; it names the first stage that is.

    Args:
        check (Check): What gave the rows.
        rows (Sequence[Row]): Its cases.
        tolerance (Tolerance): How far they may be off.
        out (Path): The file that is not written then.
        change (callable, optional): What made the file that was checked of the one that PyTorch's
            exporter writes. Defaults to None: nothing did.
    """
    wrong = next((row for row in rows if not row.holds(tolerance)), None)
    if wrong is None:
        return
    if wrong.agreement is None:
        what = f"maps differ from PyTorch's by {wrong.deviation:.1e} of the largest value"
    elif lacking := wrong.agreement.lacking:
        what = (
            f"{lacking} of {counted(wrong.agreement.compared, 'detection')} differ from PyTorch's"
        )
    else:
        what = "masks differ from PyTorch's"
    what += f' at {wrong.size[0]}x{wrong.size[1]}, batch {wrong.batch}'
    if check.graph.is_detector:
        stage = check.first_stage(wrong, tolerance, change)
        what += (
            f'; the first stage that differs is {stage[0]}, by {stage[1]:.1e}'
            if stage is not None
            else "; no stage differs, so it is what follows from them that is not mmdet's"
        )
    raise UserError(f'{out}: not written: {what}')
