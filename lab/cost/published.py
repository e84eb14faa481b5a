"""Costs as papers and repositories print them. Nothing here is ours.

None of the sources says which operations it counts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CostSource:
    """Where figures are printed, and for what kind of network.

    Args:
        title (str): What to cite.
        style (str): Where a unit with a stride has it: ``'caffe'``, at the first 1x1 convolution,
            or ``'pytorch'``, at the 3x3.
        size (tuple[int, int]): Height and width of the image.
        has_classifier (bool): Whether the linear layer for ImageNet's 1000 classes is counted.
            The global pooling before it always is: without it the detection figures do not fit.
    """

    title: str
    style: str
    size: tuple[int, int] = (224, 224)
    has_classifier: bool = True


GE = CostSource('Hu et al., Gather-Excite, NeurIPS 2018, tables 1 to 3', 'caffe')
SE = CostSource('Hu et al., Squeeze-and-Excitation Networks, 1709.01507v4, table 2', 'caffe')
SGE = CostSource("README of the SGE authors' PytorchInsight, classification", 'pytorch')
SGE_DETECTION = CostSource(
    'PytorchInsight, README at commit a2d9ffb, backbones for detection',
    'pytorch',
    size=(800, 1333),
    has_classifier=False,
)
MMPRETRAIN = CostSource("README of mmpretrain's configs/seresnet", 'pytorch')
# Its code has the stride at the 3x3, but the figures are those of Caffe's networks.
RG_SE = CostSource('README of megvii-research/RG-SENet_SP-SENet', 'caffe')


@dataclass(frozen=True)
class PublishedCost:
    """The printed cost of one network.

    Args:
        source (CostSource): Where.
        depth (int): Of the ResNet.
        attention (str): The block's name in config files, ``'none'`` for a plain network.
        parameters (str): Millions, as printed; '' if not given.
        gflops (str): As printed.
        stage (int): The only stage with gates, 2 to 5 as in the papers; 0 for all.
        remark (str): About a figure that our count does not give.
    """

    source: CostSource
    depth: int
    attention: str
    parameters: str
    gflops: str
    stage: int = 0
    remark: str = ''

    @property
    def network(self) -> str:
        """Name for a table."""
        gates = '' if self.attention == 'none' else f' {self.attention}'
        return f'R{self.depth}{gates}' + (f', stage {self.stage} only' if self.stage else '')


_ROUNDED_TWICE = '44.549 learned ones, elsewhere printed 44.55: rounded twice?'
_R50_TOO_HIGH = 'but by that its R50 would be 0.01 higher than printed'
_OTHERS_WITHOUT = 'but the other five lines fit without'

PUBLISHED = (
    PublishedCost(GE, 50, 'none', '25.6', '3.86'),
    PublishedCost(GE, 50, 'se', '28.1', '3.87'),
    PublishedCost(GE, 50, 'ge-theta-minus', '25.6', '3.86'),
    PublishedCost(GE, 50, 'ge-theta', '31.2', '3.87'),
    PublishedCost(GE, 50, 'ge-theta-plus', '33.7', '3.87'),
    PublishedCost(GE, 50, 'ge-theta', '28.0', '3.86', stage=2),
    PublishedCost(GE, 50, 'ge-theta', '27.2', '3.86', stage=3),
    PublishedCost(GE, 50, 'ge-theta', '26.8', '3.86', stage=4),
    PublishedCost(GE, 101, 'none', '44.6', '7.57', remark=_ROUNDED_TWICE),
    PublishedCost(GE, 101, 'se', '49.4', '7.58'),
    PublishedCost(GE, 101, 'ge-theta-minus', '44.6', '7.58', remark=_ROUNDED_TWICE),
    PublishedCost(GE, 101, 'ge-theta', '53.7', '7.59'),
    PublishedCost(GE, 101, 'ge-theta-plus', '58.4', '7.59'),
    PublishedCost(SE, 50, 'none', '25.6', '3.86'),
    PublishedCost(SE, 50, 'se', '28.1', '3.87'),
    PublishedCost(SE, 101, 'none', '', '7.58'),
    PublishedCost(SE, 101, 'se', '', '7.60', remark=_R50_TOO_HIGH),
    PublishedCost(SGE, 50, 'none', '25.56', '4.122'),
    PublishedCost(SGE, 50, 'se', '28.09', '4.130'),
    PublishedCost(SGE, 50, 'sge', '25.56', '4.127'),
    PublishedCost(SGE, 101, 'none', '44.55', '7.849'),
    PublishedCost(SGE, 101, 'se', '49.33', '7.863'),
    PublishedCost(SGE, 101, 'sge', '44.55', '7.858'),
    PublishedCost(SGE_DETECTION, 50, 'none', '23.51', '88.032'),
    PublishedCost(SGE_DETECTION, 50, 'se', '26.04', '88.152'),
    PublishedCost(SGE_DETECTION, 50, 'sge', '23.51', '88.149'),
    PublishedCost(SGE_DETECTION, 101, 'none', '42.50', '167.908'),
    PublishedCost(SGE_DETECTION, 101, 'se', '47.28', '168.3', remark=_OTHERS_WITHOUT),
    PublishedCost(SGE_DETECTION, 101, 'sge', '42.50', '168.099'),
    PublishedCost(MMPRETRAIN, 50, 'se', '28.09', '4.13'),
    PublishedCost(MMPRETRAIN, 101, 'se', '49.33', '7.86'),
    PublishedCost(RG_SE, 50, 'none', '', '3.86'),
    PublishedCost(RG_SE, 50, 'sp-se', '', '3.88'),
    PublishedCost(RG_SE, 50, 'rg-se', '', '3.87'),
    PublishedCost(RG_SE, 101, 'none', '', '7.58'),
    PublishedCost(RG_SE, 101, 'sp-se', '', '7.62', remark=_R50_TOO_HIGH),
    PublishedCost(RG_SE, 101, 'rg-se', '', '7.60', remark=_R50_TOO_HIGH),
)
