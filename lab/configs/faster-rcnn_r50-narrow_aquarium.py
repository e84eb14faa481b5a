# The small Faster R-CNN on photos: 251 pictures of aquariums, seven animals, many of them small.
_base_ = './faster-rcnn_r50-narrow_bccd.py'

data_root = 'data/aquarium/'
metainfo = dict(classes=('fish', 'jellyfish', 'penguin', 'puffin', 'shark', 'starfish', 'stingray'))
max_epochs = 48

# With mmdet's 256 anchors a picture, of which few are positive, the proposals missed nine animals
# of ten after 1000 iterations.
model = dict(
    rpn_head=dict(anchor_generator=dict(scales=[3, 5])),
    roi_head=dict(bbox_head=dict(num_classes=7, reg_class_agnostic=True)),
    train_cfg=dict(rpn=dict(assigner=dict(pos_iou_thr=0.5), sampler=dict(num=48))),
)

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (256, 256)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=max_epochs, val_interval=8)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 150
param_scheduler[1].T_max = param_scheduler[1].end = max_epochs
auto_scale_lr = dict(base_batch_size=4)
