"""Whether a checkpoint is at hand, or could be fetched, without fetching it."""

from __future__ import annotations

import threading
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ge_det.errors import one_line
from ge_det.files import expanded

from .download import cached_file, is_url

_GONE = (404, 410)  # Others may be what a server thinks of a HEAD request.


def why_not_at_hand(checkpoint: str, patience: float = 5.0) -> str | None:
    """Why a training could not start from a checkpoint, None if nothing speaks against it.

    Args:
        checkpoint (str): Path or http(s) URL.
        patience (float): Seconds to wait for a server. Defaults to 5.

    Returns:
        str | None: A clause.
    """
    if not is_url(checkpoint):
        return None if expanded(checkpoint).is_file() else 'no such file of weights'
    if cached_file(checkpoint).is_file():
        return None
    found: list[str | None] = []
    # In a thread of its own, since looking up a name knows no limit.
    thread = threading.Thread(target=lambda: found.append(_asked(checkpoint, patience)))
    thread.daemon = True
    thread.start()
    thread.join(patience)
    return found[0] if found else f'no answer in {patience:g} s'


def _asked(url: str, patience: float) -> str | None:
    request = Request(url, method='HEAD', headers={'User-Agent': 'ge_det'})
    try:
        urlopen(request, timeout=patience).close()
    except HTTPError as error:
        return f'the server answers {error.code}' if error.code in _GONE else None
    except URLError as error:
        return _reason(error.reason)
    except (OSError, ValueError) as error:
        return _reason(error)
    return None


def _reason(error: object) -> str:
    told = getattr(error, 'strerror', None) or one_line(Exception(error))
    return str(told)
