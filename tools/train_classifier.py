"""Train a classifier: mmpretrain's own tools/train.py with its flags, after a check of them.

Its checkpoint is what a detector's `pretrained=dict(checkpoint=...)` takes.
"""

from __future__ import annotations

from ge_det.cli.train_classifier import main

if __name__ == '__main__':
    main()
