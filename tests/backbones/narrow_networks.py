"""Narrow networks of ours that load weights when they are initialised."""

import torch
from random_networks import images

from ge_det import AttentionResNet
from ge_det.cli.offline_import import write_checkpoint
from ge_det.weights.importing import import_pretrained

SE = dict(type='ge_det.SqueezeExcite')
THETA = dict(type='ge_det.GatherExcite', variant='theta', extent=8)
THETA_MINUS = dict(type='ge_det.GatherExcite', extent=8)


def narrow(**kwargs):
    return AttentionResNet(50, base_channels=16, **kwargs)


def initialised(**kwargs):
    backbone = narrow(**kwargs)
    backbone.init_weights()
    return backbone


def offline(attention, start, out, **options):
    """Import ``start`` into a new network and write it to ``out``."""
    backbone = initialised(attention=attention)
    write_checkpoint(backbone, import_pretrained(backbone, start, **options), out)
    return backbone


def outputs(backbone):
    backbone.eval()
    with torch.no_grad():
        return backbone(images((64, 64)))
