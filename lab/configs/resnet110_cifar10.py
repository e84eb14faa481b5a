# ResNet-110, trained as He et al. 2016 do (https://arxiv.org/abs/1603.05027, appendix): 64,000
# iterations of 128 pictures, the first 400 at a tenth of the rate, drops at 32,000 and 48,000.
_base_ = './_base_/cifar10.py'

model = dict(backbone=dict(depth=110))
train_cfg = dict(by_epoch=True, max_epochs=164, val_interval=4)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(type='ConstantLR', factor=0.1, by_epoch=False, begin=0, end=400),
    dict(type='MultiStepLR', by_epoch=True, milestones=[82, 123], gamma=0.1),
]
