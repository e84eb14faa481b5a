"""Fetch a file from a server that may stall, trickle, or never end."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

# Its own where it is installed, else a bar that torch brings.
from torch.hub import tqdm  # type: ignore[attr-defined]

from ge_det.files import write_whole

_WINDOW = 30  # Seconds, within which so many bytes have to come:
_LEAST = 30_000
_LARGEST = 3 << 30
_BLOCK = 1 << 18


class TransferError(OSError):
    """Why a transfer was ended; the message is a clause."""


def transfer(url: str, target: Path) -> None:
    """Fetch a URL into a file, which is there as a whole or not at all.

    Args:
        url (str): An http(s) URL.
        target (Path): The file to write.

    Raises:
        OSError: If the server does not answer or refuses, sends less than 1 kB/s for half a minute,
            less than it announced or more than any file of weights, or the disk is full.
    """
    write_whole(target, lambda part: _Transfer(url, part).run())


class _Transfer:
    """The network in a thread of its own, since looking up a name or a header knows no limit."""

    def __init__(self, url: str, part: Path) -> None:
        self.url, self.part = url, part
        self.received = 0
        self.is_given_up = False
        self.error: BaseException | None = None

    def run(self) -> None:
        thread = threading.Thread(target=self._guarded, daemon=True)
        thread.start()
        before, since = 0, time.monotonic()
        try:
            while thread.is_alive():
                thread.join(0.2)
                if self.received - before >= _LEAST:
                    before, since = self.received, time.monotonic()
                elif thread.is_alive() and time.monotonic() - since > _WINDOW:
                    raise TransferError(
                        f'the server sent {self.received - before} bytes in {_WINDOW} s'
                    )
        finally:
            self.is_given_up = True
        if self.error is not None:
            raise self.error

    def _guarded(self) -> None:
        try:
            self._fetch()
        except BaseException as error:
            self.error = error

    def _fetch(self) -> None:
        request = Request(self.url, headers={'User-Agent': 'ge_det'})
        with urlopen(request, timeout=_WINDOW) as answer:
            if not self.is_given_up:
                self._receive(answer)

    def _receive(self, answer: Any) -> None:
        with self.part.open('wb') as file:
            length = answer.headers.get('Content-Length')
            total = int(length) if length and length.isdigit() else None
            free = shutil.disk_usage(self.part.parent).free
            if (total or 0) > min(_LARGEST, free):
                limit = f'the disk has {free}' if free < _LARGEST else f'{_LARGEST} are read'
                raise TransferError(f'it is to have {total} bytes, {limit}')
            bar = tqdm(total=total, unit='B', unit_scale=True, disable=not os.isatty(2))
            with bar:
                while not self.is_given_up and (block := answer.read1(_BLOCK)):
                    file.write(block)
                    self.received += len(block)
                    bar.update(len(block))
                    if self.received > _LARGEST:
                        raise TransferError(f'it does not end after {_LARGEST} bytes')
        if total is not None and self.received != total:
            raise TransferError(f'{self.received} of {total} bytes came')
