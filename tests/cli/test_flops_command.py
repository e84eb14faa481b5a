"""The command as ``ge-det`` calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ge_det.cli.flops import build_parser, main
from ge_det.errors import UserError

CONFIG = Path(__file__).parents[2] / 'lab/configs/_base_/faster-rcnn_r50-narrow.py'


def test_it_prints_the_table_and_returns_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(CONFIG), '--shape', '64', '90']) == 0
    assert capsys.readouterr().out.startswith('one image of 64x90, padded to 64x96\n')


def test_without_a_config_it_asks_for_one() -> None:
    with pytest.raises(UserError, match='give a CONFIG'):
        main([])


def test_changes_are_read_as_mmengine_does() -> None:
    parser = build_parser()
    args = parser.parse_args(['x.py', '--cfg-options', 'a.b=[1,2]', 'c=dict'])
    assert args.cfg_options == {'a.b': [1, 2], 'c': 'dict'}
    with pytest.raises(UserError, match="--cfg-options: 'a' is not KEY=VALUE"):
        parser.parse_args(['x.py', '--cfg-options', 'a'])
