"""Every process of a distributed training tells its backbone the sizes of its own pictures."""

import torch
import torch.distributed as dist
from process_group import in_processes
from torch.nn.parallel import DistributedDataParallel

from ge_det import AttentionResNet
from ge_det.backbones import ValidAreaPreprocessor


def compare(rank):
    torch.manual_seed(0)
    theta = dict(type='ge_det.GatherExcite', variant='theta', extent=2)
    network = AttentionResNet(
        18, theta, valid_area=True, base_channels=8, num_stages=1, with_cp=True
    ).eval()
    generator = torch.Generator().manual_seed(rank)
    pictures = [
        torch.randint(255, (3, *size), generator=generator, dtype=torch.uint8)
        for size in ((48, 40), (64, 30 + rank))
    ]
    prepare = ValidAreaPreprocessor(pad_size_divisor=32)
    batch = prepare(dict(inputs=pictures, data_samples=None), True)['inputs']
    model = DistributedDataParallel(network)
    (together,) = model(batch)
    together.square().sum().backward()
    for number, picture in enumerate(pictures):
        (alone,) = network(picture[None].float(), [picture.shape[1:]])
        cut = together[number : number + 1, :, : alone.shape[2], : alone.shape[3]]
        torch.testing.assert_close(cut, alone, atol=1e-3, rtol=1e-4)
    grads = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    others = grads.clone()
    dist.broadcast(others, 0)
    assert grads.any()
    assert torch.equal(grads, others)


def test_sizes_reach_the_backbone_of_each_process(tmp_path):
    in_processes(2, compare, tmp_path / 'meet')
