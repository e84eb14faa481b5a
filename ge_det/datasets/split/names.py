"""What the names of photos tell of where they come from."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

# Roboflow writes the copies of reef.jpg that it makes as reef_jpg.rf.<32 digits>.jpg.
_COPY = re.compile(r'(?P<source>.+)_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9a-f]{32}', re.I)

# A frame is named as one, or after the file of the video: frame_12, video3-000123, reef_mp4-12.
_FRAME = re.compile(
    r'(?P<video>(?:.*[^a-z])?(?:frames?|video|vid|mp4|avi|mov|mkv|webm|m4v)'
    r'(?:[^a-z].*?)??)[-_ .]*\d+',
    re.I,
)

_NUMBERED = re.compile(r'(?P<stem>.*?)(?P<number>\d{1,18})')


def source_of(name: str) -> str | None:
    """What a file that Roboflow wrote is a copy of; None of others.

    Args:
        name (str): A file name as in COCO's format.

    Returns:
        str | None: The same text for all copies.
    """
    found = _COPY.fullmatch(_stem(name))
    return found['source'] if found else None


def video_of(name: str) -> str | None:
    """The video that a frame is of; None where the name tells of none.

    Args:
        name (str): A file name as in COCO's format.

    Returns:
        str | None: The same text for all frames of a video; folders are different videos.
    """
    found = _FRAME.fullmatch(source_of(name) or _stem(name))
    return str(PurePosixPath(name).parent / found['video']) if found else None


def number_of(name: str) -> tuple[str, int] | None:
    """The number at the end of a name, as cameras count, and what stands before it.

    Args:
        name (str): A file name as in COCO's format.

    Returns:
        tuple[str, int] | None: The common part and the number; None without a number.
    """
    found = _NUMBERED.fullmatch(source_of(name) or _stem(name))
    if found is None:
        return None
    return f'{PurePosixPath(name).parent}/{found["stem"]}', int(found['number'])


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
