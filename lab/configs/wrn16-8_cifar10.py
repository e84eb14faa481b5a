# The wide network of 16 layers, 8 times the channels, trained as its authors do
# (https://arxiv.org/abs/1605.07146): 200 epochs, a fifth of the rate after 60, 120 and 160.
_base_ = './_base_/cifar10.py'

model = dict(backbone=dict(depth=16, widen=8), head=dict(in_channels=512))
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=4)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
)
param_scheduler = dict(type='MultiStepLR', by_epoch=True, milestones=[60, 120, 160], gamma=0.2)
