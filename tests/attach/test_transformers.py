"""The ResNets of Hugging Face's transformers; skipped where that is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from attach_networks import check_preserved
from random_networks import images
from torch import nn

from ge_det import add_attention

X = images((64, 64))
SMALL: dict[str, Any] = dict(embedding_size=16, hidden_sizes=[16, 32, 64, 128], depths=[2, 1, 1, 1])


@pytest.fixture(scope='module')
def transformers(peers: None) -> Any:
    return pytest.importorskip('transformers')


def settle(model: Any) -> Any:
    """Statistics and weights of normalisations that are not all alike."""
    torch.manual_seed(0)
    for module in model.modules():
        if hasattr(module, 'running_var'):
            nn.init.uniform_(module.weight, 0.3, 0.9)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


@pytest.mark.parametrize('kind', ['basic', 'bottleneck'])
@pytest.mark.parametrize('name', ['sge', 'ge-theta'])
def test_resnet(kind: str, name: str, transformers: Any) -> None:
    config = transformers.ResNetConfig(layer_type=kind, **SMALL)
    report = check_preserved(settle(transformers.ResNetModel(config)), X, name)
    assert [gate.unit for gate in report.gates] == [
        f'encoder.stages.{stage}.layers.{unit}'
        for stage, unit in ((0, 0), (0, 1), (1, 0), (2, 0), (3, 0))
    ]
    assert [gate.stage for gate in report.gates] == [0, 0, 1, 2, 3]


@pytest.mark.parametrize('kind', ['basic', 'bottleneck'])
def test_resnet_of_rt_detr(kind: str, transformers: Any) -> None:
    config = transformers.RTDetrResNetConfig(layer_type=kind, **SMALL)
    report = check_preserved(settle(transformers.RTDetrResNetBackbone(config)), X)
    assert len(report.gates) == 5


def rt_detr(transformers: Any) -> Any:
    backbone = transformers.RTDetrResNetConfig(
        layer_type='basic', out_features=['stage2', 'stage3', 'stage4'], **SMALL
    )
    return transformers.RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=[32, 64, 128],
        encoder_hidden_dim=32,
        d_model=32,
        decoder_in_channels=[32, 32, 32],
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=10,
        decoder_layers=1,
        encoder_layers=1,
        decoder_attention_heads=2,
        encoder_attention_heads=2,
        num_denoising=0,
        num_labels=3,
    )


def test_rt_detr_with_frozen_normalisations(transformers: Any) -> None:
    torch.manual_seed(0)
    model = transformers.RTDetrForObjectDetection(rt_detr(transformers))
    kinds = {type(module).__name__ for module in model.model.backbone.modules()}
    assert any('Frozen' in kind for kind in kinds)
    settle(model)
    with torch.no_grad():
        before = model(X)
    report = add_attention(model, 'se')
    assert report.deviation == 0 and len(report.gates) == 5
    assert report.gates[0].gate == 'model.backbone.model.encoder.stages.0.layers.0.se_layer'
    with torch.no_grad():
        after = model(X)
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(after.pred_boxes, before.pred_boxes, rtol=1e-5, atol=1e-6)


def test_gates_are_saved_with_the_model(transformers: Any, tmp_path: Path) -> None:
    config = transformers.ResNetConfig(layer_type='basic', **SMALL)
    model = settle(transformers.ResNetModel(config))
    add_attention(model, 'sge', preserve_function=False)
    model.save_pretrained(tmp_path)
    from safetensors.torch import load_file

    assert set(load_file(tmp_path / 'model.safetensors')) == set(model.state_dict())
