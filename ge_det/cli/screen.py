"""What a command shows: a plan and its progress. All the rest goes into the log of the run.

MMEngine's log file is as it always is, and gets what others print and warn of, too. With
``GE_DET_VERBOSE=1`` the screen shows everything, as mmdet's own tools do.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, TextIO

from ge_det.cli.build_errors import told_of_build
from ge_det.cli.errors import forget_reader
from ge_det.cli.progress import ProgressLines, is_progress
from ge_det.cli.signals import is_first_process
from ge_det.errors import UserError, one_line

# Not any folder of this name: a clone with its .venv has it, too.
_OURS = Path(__file__).parents[1]


def is_verbose() -> bool:
    """Whether the user wants to see everything."""
    return os.environ.get('GE_DET_VERBOSE', '') not in ('', '0')


def show_beginning(line: str) -> None:
    """A line for who waits at a terminal, before torch is imported, which may take long."""
    if sys.stderr.isatty() and is_first_process():
        print(line, file=sys.stderr, flush=True)


def quiet_decoders() -> None:
    """What OpenCV and FFmpeg say of a file, we say: to be called before they are imported."""
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')


@contextmanager
def quiet_screen(
    advice: str = '', with_tables: bool = True, log_stays: bool = True
) -> Iterator[None]:
    """Show on the screen what tells a user something, as long as this lasts.

    Args:
        advice (str): What comes before the reason, where the stack fails before it has begun to
            work: mostly the config. Without it, errors pass as they are. Defaults to none.
        with_tables (bool): Whether to show the tables of an evaluation. Defaults to True.
        log_stays (bool): Whether the log is there afterwards, and worth naming. Defaults to True.

    Raises:
        UserError: Instead of an error of the stack before the first iteration; the traceback is in
            the log.
    """
    if is_verbose() or isinstance(sys.stdout, _Lines):
        yield
        return
    screen = _Screen(sys.stdout, with_tables, log_stays)
    screen.open()
    try:
        yield
    except Exception as error:
        if not isinstance(error, (UserError, OSError, ImportError)):
            if advice and not screen.has_begun() and not _is_ours(error):
                screen.keep(traceback.format_exc())
                told = shorten(_told(error), 500, placeholder=' ...')  # MMEngine repeats configs.
                raise UserError(f'{advice}: {told}{screen.where()}') from error
            screen.show_what_is_kept()
        raise
    finally:
        screen.close()


class _Screen:
    """The log of the process as long as the screen is quiet."""

    def __init__(self, stdout: Any, with_tables: bool, log_stays: bool) -> None:
        self.stdout: TextIO = stdout
        self.with_tables = with_tables
        self.log_stays = log_stays
        self._kept: deque[str] = deque(maxlen=1000)  # As long as there is no log file.
        self._files: list[logging.FileHandler] = []

    def open(self) -> None:
        self._factory = logging.getLogRecordFactory()
        logging.setLogRecordFactory(self._new_record)
        self._showwarning = warnings.showwarning
        warnings.showwarning = self._keep_warning
        sys.stdout = _Lines(self)

    def close(self) -> None:
        sys.stdout = self.stdout
        warnings.showwarning = self._showwarning
        logging.setLogRecordFactory(self._factory)

    def keep(self, text: str) -> None:
        """Into the log file, or in mind until there is one."""
        text = text.rstrip('\n')
        if not self._files:
            self._kept.append(text)
        for file in self._files:
            file.handle(logging.LogRecord('stdout', logging.INFO, '', 0, text, None, None))

    def _keep_warning(self, *warning: Any, **_: Any) -> None:
        self.keep(f'warning: {warnings.formatwarning(*warning[:4])}')

    def say(self, line: str) -> None:
        """Onto the screen; a training goes on if nobody is there to read it any more."""
        try:
            print(line, file=self.stdout, flush=True)
        except BrokenPipeError:
            forget_reader(self.stdout)

    def show_what_is_kept(self) -> None:
        """What came before a fault of ours may tell its cause."""
        print(*self._kept, sep='\n', end='\n' * bool(self._kept), file=sys.stderr)

    def where(self) -> str:
        """The log file, as an end of a message."""
        if not self._files or not self.log_stays:
            return '; GE_DET_VERBOSE=1 tells more'
        return f'; the traceback is in {self._files[0].baseFilename}'

    @staticmethod
    def has_begun() -> bool:
        """Whether MMEngine has done its first step."""
        if 'mmengine.logging' not in sys.modules:
            return False
        from mmengine.logging import MessageHub

        scalars = MessageHub.get_current_instance().log_scalars
        return any(name.endswith('/time') for name in scalars)  # Its timer counts every step.

    def _new_record(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """The first record of MMEngine's logger finds its handlers and changes the screen's."""
        record = self._factory(*args, **kwargs)
        if record.name == 'mmengine':
            self._take_over()
        return record

    def _take_over(self) -> None:
        from mmengine.logging import MMLogger

        for handler in MMLogger.get_current_instance().handlers:
            if getattr(handler, 'stream', None) is sys.stdout:
                handler.setStream(self.stdout)
                handler.setFormatter(ProgressLines())
                handler.addFilter(lambda record: is_progress(record, self.with_tables))
            elif isinstance(handler, logging.FileHandler) and handler not in self._files:
                _use_utf8(handler)
                self._files.append(handler)
                if self.log_stays:
                    self.say(f'log:     {handler.baseFilename}')
                while self._kept:
                    self.keep(self._kept.popleft())


class _Lines:
    """Stands in for the screen: keeps whole lines for the log, but for figures of an evaluation."""

    encoding, errors = 'utf-8', 'backslashreplace'

    def __init__(self, screen: _Screen) -> None:
        self._screen = screen
        self._line = ''

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split('\n')
        for line in lines:
            if line.strip():
                self._screen.keep(line)
            if line.startswith(' Average ') and self._screen.with_tables:  # pycocotools' table
                self._screen.say(line)
        return len(text)

    def flush(self) -> None:
        self._screen.stdout.flush()

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith('_'):  # Not there yet, in a copy that is being made.
            raise AttributeError(name)
        return getattr(self._screen.stdout, name)  # Such as `buffer`, for whoever writes bytes.


def show(*lines: str) -> None:
    """Print lines of ours, which the screen shows and the log holds."""
    out = sys.stdout
    for line in lines:
        print(line)
        if isinstance(out, _Lines):
            out._screen.say(line)


def _use_utf8(handler: logging.FileHandler) -> None:
    """MMEngine opens it in the locale's encoding, which may lack letters of a class or folder."""
    if isinstance(handler.stream, io.TextIOWrapper):
        handler.encoding = 'utf-8'
        handler.stream.reconfigure(encoding='utf-8', errors='backslashreplace')


def _is_ours(error: BaseException) -> bool:
    """Whether the last step before an error was in a file of ge_det."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _OURS in Path(frames[-1].filename).parents


def _told(error: Exception) -> str:
    if told := told_of_build(error):
        return told
    message = one_line(error)
    kind = type(error).__name__
    return message if message.startswith(kind) else f'{kind}: {message}'
