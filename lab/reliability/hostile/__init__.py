"""Files under the name of a checkpoint that want to run code, fill the memory, or are damaged."""

from .code import CODE, TEXT
from .damage import DAMAGE, FORM
from .making import Maker
from .memory import MEMORY
from .weights import NUMBERS, OTHER_MODEL, SOUND

__all__ = ['KINDS', 'OTHER_MODEL', 'SOUND', 'TEXT']

KINDS: dict[str, dict[str, Maker]] = {
    'code in a pickle': CODE,
    'code in the text of meta': TEXT,
    'memory and time': MEMORY,
    'damaged': DAMAGE,
    'numbers': NUMBERS,
    'no checkpoint': FORM,
    'of another model': OTHER_MODEL,
    'sound': SOUND,
}
"""Refused at every entry in one line; but TEXT may be taken, as long as nothing of it runs, and
SOUND is taken everywhere."""
