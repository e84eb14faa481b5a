"""What a field of a COCO file may hold instead of what it should."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

VALUES: dict[str, Any] = {
    'none': None,
    'true': True,
    'false': False,
    'empty text': '',
    'text': 'text',
    'digit as text': '1',
    'minus one': -1,
    'zero': 0,
    'two': 2,
    'half': 0.5,
    'one with a point': 1.0,
    'nan': math.nan,
    'infinite': math.inf,
    '400 digits': 10**400,
    'beyond 2**63': 2**63 + 1,
    'list': [1],
    'empty list': [],
    'object': {'a': 1},
    'line end': 'a\nb\x1b[31m\u2028',
    'nul': 'a\0b',
}
"""What a field may hold instead."""

BOXES: dict[str, Callable[[list[float]], Any]] = {
    'corners': lambda box: [box[0], box[1], box[0] + box[2], box[1] + box[3]],
    'shares': lambda box: [value / 1000 for value in box],
    'texts': lambda box: [str(value) for value in box],
    'three numbers': lambda box: box[:3],
    'tiny': lambda box: [box[0], box[1], 0.5, 0.5],
    'flat': lambda box: [box[0], box[1], box[2], 0],
    'negative': lambda box: [box[0] + box[2], box[1], -box[2], box[3]],
    'far': lambda box: [box[0] + 1e5, box[1], box[2], box[3]],
    'a nan': lambda box: [math.nan, *box[1:]],
    'huge': lambda box: [*box[:3], 1e300],
    'nested': lambda box: [box],
    'truths': lambda box: [True, True, *box[2:]],
    'a pixel': lambda box: [*box[:2], 1, 1],
    'over the left border': lambda box: [-0.9, box[1], 1.5, box[3]],
    'over all borders': lambda box: [-1, -1, 42, 32],
    'one for all': lambda box: [1 / 3, 2 / 3, 10 / 3, 20 / 3],
}
MASKS: dict[str, Any] = {
    'pairs': [[1, 2], [3, 4], [5, 6]],
    'nested pairs': [[[1, 2], [3, 9], [5, 6]]],
    'a nan': [[1, 2, 3, math.nan, 5, 6]],
    'a none': [[1, 2, 3, None, 5, 6]],
    'texts': [['1', '2', '3', '9', '5', '6']],
    'beyond 1e8': [[1, 2, 3e9, 4, 5, 6]],
    'outside': [[1, 2, 3e4, 4, 5, 6]],
    'odd': [[1, 2, 3, 4, 5, 6, 7]],
    'two points': [[1, 2, 3, 4]],
    'a point': [[1, 2, 1, 2, 1, 2]],
    'short runs': {'size': [30, 40], 'counts': [10, 10]},
    'fractions': {'size': [30, 40], 'counts': [600.5, 599.5]},
    'negative runs': {'size': [30, 40], 'counts': [-10, 1210]},
    'garbage': {'size': [30, 40], 'counts': 'Zm\\x~!?'},
    'no end': {'size': [30, 40], 'counts': 'oooooooooo'},
    'another size': {'size': [40, 30], 'counts': [1200]},
    'sizes as text': {'size': ['30', '40'], 'counts': [0, 1200]},
    'no pixel': {'size': [30, 40], 'counts': [1200]},
    'empty runs': {'size': [30, 40], 'counts': [0, 0, 0, 0, 600, 0, 0, 600]},
    'no runs': {'size': [30, 40], 'counts': []},
    'size with a point': {'size': [30.0, 40.0], 'counts': [0, 1200]},
    'truths': {'size': [30, 40], 'counts': [True] * 1200},
    'a code': {'size': [30, 40], 'counts': '0X8X^O'},
    'codes in a list': [{'size': [30, 40], 'counts': '0X8X^O'}],
    'one empty': [[]],
    'flat': [1, 2, 3, 9, 5, 6],
    'as text': '[[1, 2, 3, 9, 5, 6]]',
    'a rectangle beside': [[1, 2, 3, 4], [1, 2, 9, 2, 9, 9]],
    'an empty beside': [[], [1, 2, 9, 2, 9, 9]],
    'whole picture': {'size': [30, 40], 'counts': [0, 1200]},
}

NAMES: dict[str, tuple[Any, Any]] = {
    'alike but for a space': ('cat', 'cat '),
    'alike but for case': ('cat', 'CAT'),
    'numbers': (1, 2),
    'numbers as text': ('2', '1'),
    'blank': (' ', '  '),
    'one empty': ('', 'cat'),
    'invisible': ('\ufeffcat', 'cat'),
    'long': ('a' * 5000, 'b'),
    'table': ('a | b', '+---+'),
    'of the metric': ('coco/bbox_mAP', 'bbox_mAP_50'),
    'in each other': ('a', 'ab'),
}
"""Names of two classes."""

OTHERS: dict[str, Any] = {
    'info': [None, 'text', {'a': math.nan}, {'a': 10**400}],
    'licenses': [None, 1],
    'type': ['instances'],
    'imgs': [{}],
    '': [1],
}
"""What else a file may hold."""
