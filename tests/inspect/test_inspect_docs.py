"""The example of the page on looking inside runs, and prints what it says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / 'docs/inspect.md'


@pytest.mark.usefixtures('peers')
def test_the_example_runs(capsys):
    (code,) = re.findall(r'```python\n(.*?)```', PAGE.read_text('utf-8'), re.DOTALL)
    exec(code, {})
    shown = capsys.readouterr().out.splitlines()
    (told,) = re.findall(r'# (has not .*)', code)
    assert len(shown) == 8 and all(line.endswith(told) for line in shown)
