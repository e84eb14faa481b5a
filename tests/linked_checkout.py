"""A checkout without an environment of its own, as CI's has one: its files are links."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def linked_checkout(root: Path) -> Path:
    """Make a folder that is to the doctor a checkout without a ``.venv``."""
    (root / 'tools').mkdir(parents=True)
    for name in ('ge_det', 'pyproject.toml', 'Makefile', 'tools/setup.sh'):
        (root / name).symlink_to(ROOT / name)
    return root
