# ResNet-20 in a few epochs, for a core of a CPU: one cycle of the rate. Epochs and rate were chosen
# on the plain network alone (docs/evidence/log.md).
_base_ = './_base_/cifar10.py'

epochs = 5
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=epochs)
optim_wrapper = dict(
    type='BFloat16OptimWrapper',  # A third less time for the plain network.
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=5e-4, fused=True),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(
        type='LinearLR',
        start_factor=1,
        end_factor=0,
        begin=1,
        end=epochs,
        convert_to_iter_based=True,
    ),
]
