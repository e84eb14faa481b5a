"""What a file is instead of weights, a picture or JSON, by its first bytes, with the remedy."""

from __future__ import annotations

_WEB_PAGE = 'a web page: download the file itself'
_FETCHED = {
    b'version https://git-lfs': 'a git-lfs pointer: `git lfs pull` fetches the file itself',
    b'<!doctype html': _WEB_PAGE,
    b'<html': _WEB_PAGE,
}
_STARTS = {
    **_FETCHED,
    b'<?xml': 'XML: convert it',
    b'<svg': 'a drawing in SVG: convert it',
    b'%pdf': 'a PDF: convert it',
    b'pk\3\4': 'a zip archive: unpack it',
    b'\x1f\x8b': 'packed with gzip: unpack it (gunzip)',
    b'bzh': 'packed with bzip2: unpack it (bunzip2)',
    b'\xfd7zxz': 'packed with xz: unpack it (unxz)',
    b'\x28\xb5\x2f\xfd': 'packed with zstd: unpack it (unzstd)',
}
_BRANDS = {
    **dict.fromkeys((b'heic', b'heix', b'hevc', b'heim'), 'HEIC, as phones write: convert it'),
    **dict.fromkeys((b'isom', b'mp41', b'mp42', b'qt  ', b'avc1'), 'a video: take frames of it'),
}
LENGTH = 512
"""Bytes that tell."""


def other_kind(start: bytes) -> str:
    """What a file is that is neither a picture nor JSON, and the remedy.

    Args:
        start (bytes): At least its first 512 bytes, or all of it.

    Returns:
        str: '' if it is none of the kinds known.
    """
    start = start[:LENGTH]
    if not start:
        return 'empty: fetch it again'
    if len(start) == LENGTH and not any(start):
        return 'nothing but zeros, as of a download that was cut: fetch it again'
    if start[4:8] == b'ftyp':
        return _BRANDS.get(start[8:12], '')
    return _by_start(_STARTS, start)


def fetched_instead(start: bytes) -> str:
    """What was fetched in place of a file that is no text, and the remedy.

    Args:
        start (bytes): At least its first 512 bytes, or all of it.

    Returns:
        str: '' if it may be the file itself.
    """
    is_markup = start[:64].lstrip().startswith(b'<')  # Such as the XML of a server's refusal.
    return _by_start(_FETCHED, start) or _WEB_PAGE * is_markup


def _by_start(kinds: dict[bytes, str], start: bytes) -> str:
    letters = start.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    return next((kind for magic, kind in kinds.items() if letters.startswith(magic)), '')
