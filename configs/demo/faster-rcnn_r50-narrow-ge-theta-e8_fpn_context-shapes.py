# The same network, data, seed and schedule with Gather-Excite in every residual unit.
_base_ = './faster-rcnn_r50-narrow_fpn_context-shapes.py'

model = dict(backbone=dict(attention=dict(type='ge_det.GatherExcite', variant='theta', extent=8)))
