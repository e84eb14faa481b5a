# CIFAR-10 as arrays in memory: what all networks have in common, but for network and schedule.
_base_ = 'mmpretrain::_base_/default_runtime.py'

custom_imports = dict(imports=['lab.cifar.network', 'lab.cifar.data', 'lab.cifar.half_precision'])
data_root = 'work_dirs/evidence/data/cifar10'

model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(type='CifarResNet', depth=20),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=64,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1,),
    ),
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        num_classes=10,
        mean=[125.307, 122.961, 113.8575],  # RGB, of the training pictures.
        std=[62.9932, 62.0887, 66.7049],
    ),
)

# The data set augments whole batches, from the generator of its own process.
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='as_made'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CifarArrays', data_root=data_root, split='train', augment=True),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='as_made'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CifarArrays', data_root=data_root, split='test'),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=1)
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()

auto_scale_lr = dict(base_batch_size=128)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
custom_hooks = [dict(type='ge_det.ChannelsLast')]
randomness = dict(seed=0)
