"""Pictures that lie: the marks of one scene, the names of the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ge_det.datasets import SCENES, ContextShapes, Picture


@dataclass(frozen=True)
class SwappedMarks(ContextShapes):
    """ContextShapes whose marks all tell the other scene than the names of the objects.

    A control: a detector that reads the marks is wrong about every object that they name, and one
    that does not read them says the same as on the set itself.
    """

    swapped_marks: bool = True  # Tells this set from others in what is written beside it.

    def draw(self, split: str, index: int, scene: str | None = None) -> Picture:
        """Draw one picture with the marks of the other scene, see :meth:`ContextShapes.draw`."""
        named = super().draw(split, index, scene)
        (other,) = {*SCENES} - {named.scene}
        marked = super().draw(split, index, other)
        return replace(marked, annotations=named.annotations, scene=named.scene)
