# A plain ResNet-50 on ImageNet: the baseline of every block, and the recipe of all.
# 100 epochs, drops at 30, 60 and 90, lr 0.1 for 256 images.
#
# mmpretrain's base has this recipe, the SGE and the SP-SE and RG-SE authors', but for one thing: it
# starts every residual branch at zero, and they do not. The backbone is ours, which a detector
# takes over as it is; like mmdet's it would run batch normalisation on running statistics.
_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'

model = dict(
    backbone=dict(type='ge_det.AttentionResNet', norm_eval=False, zero_init_residual=False)
)
