"""Runs of `ge-det infer` into the folder `out`, and what they list there."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from command_line import exit_code
from PIL import Image


def picture(width: int = 48, height: int = 32) -> Image.Image:
    drawn = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(drawn)


def infer(detector: Path, *arguments: object) -> int:
    return exit_code('infer', *arguments, '--checkpoint', detector, '--out', 'out')


def listed() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path('out/detections.json').read_text())
    return content


def rows() -> list[dict[str, str]]:
    with Path('out/detections.csv').open(newline='') as file:
        return list(csv.DictReader(file))
