"""The fake GPU notices what a real one would."""

import pytest
import torch

HERE = 'tests/test_gpu_rehearsal/test_fake_cuda.py'
mask = torch.tensor([True, False, True])

WAITS = {
    'item': lambda x: x.sum().item(),
    'if': lambda x: bool(x[0] == 1),
    'cpu': lambda x: x.cpu(),
    'nonzero': lambda x: x.nonzero(),
    'unique': lambda x: x.unique(),
    'mask': lambda x: x[x > 1],
    'assignment by mask': lambda x: x.__setitem__(x > 2, x[:1] + x[1:2]),
    'index on the CPU': lambda x: x[[2, 1, 0]],
    'tensor': lambda x: torch.tensor([1.0, 2.0], device='cuda'),
    'copy to the GPU': lambda x: torch.ones(3).to('cuda'),
    'copy from the GPU': lambda x: torch.ones(3).copy_(x),
    'to pageable memory': lambda x: x.to('cpu', non_blocking=True),
    'svd': lambda x: torch.linalg.svdvals(x[:, None]),
}
RUNS_ON = {
    'sum': lambda x: x.sum() + 1,
    'number of the CPU': lambda x: x * torch.tensor(2.0),
    'index on the GPU': lambda x: x[x.argsort()],
    'number by mask': lambda x: x.__setitem__(x > 2, 0.0),
    'where': lambda x: torch.where(x > 2, x, 0),
    'copy without waiting': lambda x: torch.ones(3).to(x, non_blocking=True),
    'to pinned memory': lambda x: torch.empty(3, pin_memory=True).copy_(
        x, non_blocking=True
    ),
}
REFUSED = {
    'two devices': lambda x: x + torch.ones(3),
    'two devices in a list': lambda x: torch._foreach_add_(
        [x, torch.ones(3)], 1
    ),
    'generator of the CPU': lambda x: torch.randperm(
        3, device='cuda', generator=torch.Generator()
    ),
    'numpy': lambda x: x.numpy(),
}


def vector():
    return torch.arange(3.0).to('cuda', non_blocking=True)


@pytest.mark.parametrize('case', WAITS)
def test_waits(case, computing_gpu):
    WAITS[case](vector())
    assert set(computing_gpu.waits) == {HERE}


@pytest.mark.parametrize('case', RUNS_ON)
def test_does_not_wait(case, computing_gpu):
    RUNS_ON[case](vector())
    assert not computing_gpu.waits


@pytest.mark.parametrize('case', REFUSED)
def test_refuses(case, computing_gpu):
    with pytest.raises((RuntimeError, TypeError)):
        REFUSED[case](vector())


def test_values_are_those_of_the_cpu(computing_gpu):
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
    )
    rows = torch.randn(5, 3)
    want = layers(rows).square().sum()
    grads = torch.autograd.grad(want, list(layers.parameters()))
    before = list(layers.parameters())
    layers.to('cuda')
    assert all(p is q for p, q in zip(before, layers.parameters()))
    loss = layers(rows.to('cuda')).square().sum()
    loss.backward()
    assert loss.device.type == 'cuda'
    assert loss.item() == want.item()
    for parameter, grad in zip(layers.parameters(), grads):
        torch.testing.assert_close(parameter.grad.cpu(), grad)
