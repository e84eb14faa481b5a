"""Merge the sources of mmcv's CPU ops into five files: `merge_sources.py FOLDER_OF_MMCV`.

Nearly all of the compiler's time goes into the headers of torch, which each of the 77 sources
includes. Five files parse them five times. Sources that define the same names go apart.
Where ops of the GPU are built, too, all stays as it is.
"""

import os
import sys
from pathlib import Path

APART = {
    'bezier_align': 1,
    'roi_align': 2,
    'roi_align_rotated': 3,
    'rotated_feature_align': 4,
    'sparse_indice': 1,
    'sparse_maxpool': 3,
    'sparse_reordering': 4,
}


def merge(folder: Path) -> None:
    """Rename the sources, so that they are no longer compiled one by one, and include them."""
    units: dict[int, list[Path]] = {unit: [] for unit in range(5)}
    for source in sorted(folder.glob('*.cpp')):
        units[1 if source.stem == 'pybind' else 0].append(source)
    # The last one, for it defines macros that others do not expect.
    for source in sorted(folder.glob('cpu/*.cpp'), key=lambda s: (s.stem == 'psamask', s.stem)):
        units[APART.get(source.stem, 2)].append(source)
    for unit, sources in units.items():
        included = [source.rename(source.with_suffix('.inc')) for source in sources]
        lines = [f'#include "{source.relative_to(folder)}"\n' for source in included]
        (folder / f'merged_{unit}.cpp').write_text(''.join(lines), encoding='utf-8')


if __name__ == '__main__':
    import torch

    if not torch.cuda.is_available() and os.environ.get('FORCE_CUDA', '0') != '1':
        merge(Path(sys.argv[1], 'mmcv/ops/csrc/pytorch'))
