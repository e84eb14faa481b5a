"""What a training starts from is known when the config is written, not hours later."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from file_server import served

from ge_det.errors import UserError
from ge_det.reading.download import cached_file
from ge_det.reading.reachable import why_not_at_hand
from ge_det.recipe.start import choose_start
from ge_det.weights.imagenet import RESNET_URLS, SE_RESNET_URLS

SMALL, FULL = dict(small=True), dict(small=False)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, and no network."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:1')
    return tmp_path / 'torch/hub/checkpoints'


def put(url: str) -> None:
    cached_file(url).parent.mkdir(parents=True, exist_ok=True)
    cached_file(url).write_bytes(b'weights')


def test_a_file_in_the_cache_is_taken() -> None:
    put(RESNET_URLS[18])
    put(RESNET_URLS[50])
    put(SE_RESNET_URLS[50])
    assert choose_start(SMALL, 'sge').arguments == dict(
        depth=18, base_channels=64, pretrained=RESNET_URLS[18], attention='sge'
    )
    assert choose_start(FULL, 'sge').arguments['pretrained'] == RESNET_URLS[50]
    assert choose_start(FULL, 'se').arguments['pretrained'] == SE_RESNET_URLS[50]
    assert 'here already' in choose_start(FULL, 'sge').reason


def test_without_network_and_file_a_small_network_does_without() -> None:
    start = choose_start(SMALL, 'sge')
    assert start.arguments == dict(depth=18, base_channels=32, pretrained='none', attention='sge')
    assert start.reason.startswith("ImageNet's cannot be fetched (")
    assert f'fetch {RESNET_URLS[18]} elsewhere' in start.reason
    assert '--pretrained FILE' in start.reason and '--from-scratch' in start.reason


def test_without_network_and_file_a_full_one_is_one_line_with_three_remedies() -> None:
    with pytest.raises(UserError) as error:
        choose_start(FULL, 'sge')
    said = str(error.value)
    assert '\n' not in said and str(cached_file(RESNET_URLS[50])) in said
    assert '--pretrained FILE' in said and '--from-scratch starts from random weights' in said


def test_from_scratch_asks_no_network() -> None:
    given: dict[str, Any] = dict(FULL, pretrained='none')
    assert choose_start(given, 'sge').arguments['pretrained'] == 'none'


def test_a_width_without_weights_starts_from_none() -> None:
    start = choose_start(dict(FULL, base_channels=16), 'sge')
    assert start.arguments['pretrained'] == 'none' and 'base-channels 16' in start.reason


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UserError, match='gone.pth: no such file of weights; check --pretrained'):
        choose_start(dict(SMALL, pretrained='gone.pth'), 'sge')


def test_a_server_is_asked_and_nothing_fetched(tmp_path: Path) -> None:
    (tmp_path / 'there.pth').write_bytes(b'x' * 100)
    with served(tmp_path) as url:
        start = choose_start(dict(SMALL, pretrained=f'{url}/there.pth'), 'sge')
        assert start.arguments['pretrained'] == f'{url}/there.pth'
        assert not cached_file(f'{url}/there.pth').exists()
        with pytest.raises(UserError, match='the server answers 404'):
            choose_start(dict(SMALL, pretrained=f'{url}/gone.pth'), 'sge')


def test_a_silent_server_is_not_waited_for() -> None:
    import socket

    with socket.create_server(('127.0.0.1', 0)) as server:
        begin = time.monotonic()
        url = f'http://127.0.0.1:{server.getsockname()[1]}/x.pth'
        assert why_not_at_hand(url, patience=0.5)
        assert time.monotonic() - begin < 5


def test_a_training_that_finds_no_network_after_all_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('mmdet')
    from ge_det import AttentionResNet
    from ge_det.cli.preflight import check_start

    (tmp_path / 'my.py').write_text('x = 1')
    network = AttentionResNet(18, pretrained='http://127.0.0.1:1/r18-12345678.pth')
    with pytest.raises(UserError) as error:
        check_start(network, str(tmp_path / 'my.py'))
    said = str(error.value)
    assert 'put it at' in said and 'with --from-scratch needs none' in said
