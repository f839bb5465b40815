"""A GPU that is not there: fake CUDA tensors beside a real CPU.

torch's FakeTensorMode knows the shape, dtype and device of each tensor and
refuses to mix devices. Here only tensors on 'cuda' are fake. Whatever makes a
CPU wait for a GPU is recorded with the place in the code that asked for it.
A fake tensor may have a shadow on the CPU that holds its true values, so that
a program which does read values runs as well.
"""

import contextlib
import sys
from collections import Counter
from types import SimpleNamespace

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
)
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
# What a GPU answers only after all that it was asked to do before.
WAITING_TAGS = {
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
}
# These check for errors, or read sizes, on the CPU.
WAITING_OPS = {
    aten._linalg_svd,
    aten._linalg_eigh,
    aten.linalg_cholesky_ex,
    aten.linalg_qr,
}
SMALL = 64  # numbers of a tensor whose values are always known
COPIES = {aten._to_copy, aten.copy_}
PACKAGES = ('pauc_mm', 'mmpretrain', 'mmengine', 'tests')


class FakeCUDA(TorchDispatchMode):
    """Run tensors of the CPU as ever, and those of 'cuda' as fakes.

    Args:
        values (bool): Whether to compute all tensors, by shadows on the CPU.
            Without, counters and flags are computed; larger tensors have no
            values, and who reads one gets zeros.

    Attributes:
        waits (Counter): How often which place made the CPU wait, by the file
            of the package that asked, such as 'mmpretrain/.../lars.py'.
    """

    def __init__(self, values=False):
        super().__init__()
        self.most = float('inf') if values else SMALL
        self.waits = Counter()
        self.pinned = []  # kept, or their memory would be given to others

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.ops.prim.device.default:
            return args[0].fake_device
        inputs = [x for x in tree_leaves((args, kwargs)) if _is_fake(x)]
        target = torch.device(kwargs.get('device') or 'cpu').type
        if not inputs and target == 'cpu':
            return self._on_cpu(func, args, kwargs)
        _check_devices(func, args, kwargs)
        self._note_wait(func, args, kwargs)
        if func is aten.copy_.default and not _is_fake(args[0]):
            with _disable_current_modes():
                return args[0].copy_(self._shadow(args[1]))
        if kwargs.get('device') is not None and target == 'cpu':
            return self._compute(func, args, kwargs)
        if WAITING_TAGS & set(func.tags) and not _by_places(func, args):
            result = self._compute(func, args, kwargs)
            return tree_map(self._to_fake, result)
        if func is aten._to_copy.default and not inputs:
            # Otherwise FakeTensorMode keeps a weak reference to the original,
            # with which no parameter can be replaced.
            dtype = kwargs.get('dtype') or args[0].dtype
            fake = torch.empty(args[0].shape, dtype=dtype, device=target)
        else:
            fake = func(*args, **kwargs)
        results = [x for x in tree_leaves(fake) if _is_fake(x)]
        size = max((x.numel() for x in inputs + results), default=0)
        if size <= self.most and all(hasattr(x, 'shadow') for x in inputs):
            real = self._compute(func, args, kwargs)
            for one, other in zip(tree_leaves(fake), tree_leaves(real)):
                if _is_fake(one):
                    one.shadow = other
        elif func._schema.is_mutable:
            for x in inputs:
                vars(x).pop('shadow', None)
        return fake

    def _on_cpu(self, func, args, kwargs):
        pin = kwargs.pop('pin_memory', False)
        packet = func.overloadpacket
        with _disable_current_modes():
            if packet is aten.is_pinned:
                return self._is_pinned(args[0])
            if packet is aten._pin_memory:
                pin, result = True, args[0].clone()
            else:
                result = func(*args, **kwargs)
        if pin:
            self.pinned.append(result)
        return result

    def _compute(self, func, args, kwargs):
        """Compute with the shadows."""
        kwargs = {k: v for k, v in kwargs.items() if k != 'pin_memory'}
        if kwargs.get('device') is not None:
            kwargs['device'] = 'cpu'
        with _disable_current_modes():
            args, kwargs = tree_map(self._shadow, (args, kwargs))
            return func(*args, **kwargs)

    def _shadow(self, x):
        if not _is_fake(x):
            return x
        if hasattr(x, 'shadow'):
            return x.shadow
        return torch.zeros(x.shape, dtype=x.dtype)

    def _to_fake(self, x):
        if not isinstance(x, torch.Tensor):
            return x
        with _disable_current_modes():
            meta = x.to('meta')
        fake = torch.empty_like(meta, device='cuda')
        fake.shadow = x
        return fake

    def _note_wait(self, func, args, kwargs):
        packet = func.overloadpacket
        waits = packet in WAITING_OPS
        waits |= bool(WAITING_TAGS & set(func.tags))
        waits &= not _by_places(func, args)
        if packet in (aten.index_put_, aten.index_put):
            number = args[2].numel() == 1 and not _is_fake(args[2])
            waits = _has_mask(args[1]) and not number
        if packet in COPIES:
            waits = self._copy_waits(args, kwargs)
        if waits:
            self.waits[_place()] += 1

    def _copy_waits(self, args, kwargs):
        """Whether a copy between devices blocks."""
        source, target = args[0], kwargs.get('device')
        if len(args) > 1:  # copy_
            source, target = args[1], args[0].device
        if target is None or torch.device(target).type == source.device.type:
            return False
        asynchronous = kwargs.get('non_blocking') or args[2:3] == (True,)
        if not asynchronous:
            return len(args) == 1 or source.dim() > 0
        # From pageable memory the driver takes a copy of its own at once; to
        # pageable memory it waits.
        to_cpu = torch.device(target).type == 'cpu'
        pinned = len(args) > 1 and to_cpu and self._is_pinned(args[0])
        return to_cpu and not pinned

    def _is_pinned(self, x):
        return x.data_ptr() in [p.data_ptr() for p in self.pinned]


def _is_tensor(x):
    return isinstance(x, torch.Tensor)


def _is_fake(x):
    return isinstance(x, FakeTensor)


def _has_mask(indices):
    return any(x is not None and x.dtype == torch.bool for x in indices)


def _by_places(func, args):
    """Whether it is an index by integers, whose shape is known."""
    return func is aten.index.Tensor and not _has_mask(args[1])


def _check_devices(func, args, kwargs):
    """Refuse what FakeTensorMode lets pass."""
    lists = [a for a in args if func.name().startswith('aten::_foreach_')]
    devices = {x.device.type for x in tree_leaves(lists) if _is_tensor(x)}
    if len(devices) > 1:
        raise RuntimeError(f'{func} on tensors of {devices}')
    generator = kwargs.get('generator')
    known = [g._cdata for g in _Generator.of_gpu]
    if generator is not None and generator._cdata not in known:
        raise RuntimeError("a generator of the CPU draws on 'cuda'")


def _place():
    """Return the file, from its package on, that asked for this."""
    frame = sys._getframe(1)
    while frame := frame.f_back:
        parts = frame.f_code.co_filename.split('/')
        for package in PACKAGES:
            if package in parts and not parts[-1].startswith('fake_cuda'):
                start = len(parts) - 1 - parts[::-1].index(package)
                return '/'.join(parts[start:])
    return 'elsewhere'


class _Generator(torch.Generator):
    """Generator that says which device it is of."""

    of_gpu = []

    def __new__(cls, device='cpu'):
        self = super().__new__(cls)
        self._device = torch.device(device)
        if self._device.type == 'cuda':
            cls.of_gpu.append(self)
        return self

    @property
    def device(self):
        return self._device


@torch.no_grad()
def _backward(loss, gradient=None, *unused, **options):
    """Compute gradients node by node, as torch's engine does.

    The engine itself asks the driver for the streams of each GPU.
    """
    waiting, nodes = Counter(), [loss.grad_fn]
    for node in nodes:  # grows
        for following, _ in node.next_functions:
            if following is not None:
                if not waiting[following]:
                    nodes.append(following)
                waiting[following] += 1
    gradient = torch.ones_like(loss) if gradient is None else gradient
    given, ready = {loss.grad_fn: {loss.output_nr: gradient}}, [loss.grad_fn]
    while ready:
        node = ready.pop()
        grads = given.pop(node, {})
        if hasattr(node, 'variable'):
            if grads:
                leaf, grad = node.variable, grads[0]
                leaf.grad = grad if leaf.grad is None else leaf.grad + grad
            continue
        inputs = [grads.get(i) for i in range(len(node._input_metadata))]
        outputs = (None,) * len(node.next_functions)
        if grads:
            outputs = getattr(node, 'apply', node)(*inputs)
        if not isinstance(outputs, tuple):
            outputs = (outputs,)
        for (following, i), grad in zip(node.next_functions, outputs):
            if following is None:
                continue
            if grad is not None:
                wanted = following._input_metadata[i]
                grad = grad.sum_to_size(wanted.shape).to(wanted.dtype)
                known = given.setdefault(following, {})
                known[i] = known[i] + grad if i in known else grad
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)


def _move_into(old, new):
    """Give a parameter another content, weak references or not."""
    if not _is_fake(old):
        for name in ('__class__', '__dict__'):
            one, other = getattr(old, name), getattr(new, name)
            setattr(old, name, other)
            setattr(new, name, one)
        torch._C._swap_tensor_impl(old, new)


def _load(file, map_location=None, load=torch.load, **options):
    """Load to the CPU, for fake tensors are loaded without values."""
    with _disable_current_modes():
        state = load(file, map_location='cpu', **options)
    if 'cuda' not in str(map_location):
        return state
    return tree_map(lambda x: x.cuda() if _is_tensor(x) else x, state)


class _NoDriver(FakeTensorMode):
    """Fake tensors that never look for a driver, whatever torch.cuda says."""

    avoid_device_init = True


@contextlib.contextmanager
def fake_cuda(monkeypatch, values=False):
    """Give the process a GPU of fake tensors; yields the FakeCUDA."""
    event = SimpleNamespace(synchronize=lambda: None)
    stream = SimpleNamespace(record_event=lambda: event)
    for name, value in dict(
        is_available=True,
        is_bf16_supported=True,
        is_initialized=False,
        current_device=0,
        device_count=1,
        current_stream=stream,
        get_device_name='fake GPU',
        get_rng_state=None,
        set_rng_state=None,
        max_memory_allocated=0,
        reset_peak_memory_stats=None,
        empty_cache=None,
        synchronize=None,
    ).items():
        answer = lambda *args, value=value, **kwargs: value  # noqa: E731
        monkeypatch.setattr(torch.cuda, name, answer)
    if values:  # cuDNN's kernels have no twin on a CPU
        monkeypatch.setattr(torch.backends.cudnn, 'enabled', False)
    # A parameter stays the object that a momentum encoder has hold of.
    monkeypatch.setattr(torch.utils, 'swap_tensors', _move_into)
    monkeypatch.setattr(
        torch.__future__,
        'get_swap_module_params_on_conversion',
        lambda: True,
    )
    monkeypatch.setattr(torch, 'load', _load)
    monkeypatch.setattr(torch, 'Generator', _Generator)
    monkeypatch.setattr(torch.Tensor, 'backward', _backward)
    for module in list(sys.modules.values()):
        name = getattr(module, '__name__', '')
        if name.startswith(('mm', 'pauc_mm')) and 'get_device' in vars(module):
            monkeypatch.setattr(module, 'get_device', lambda: 'cuda')
    with _NoDriver(allow_non_fake_inputs=True), FakeCUDA(values) as gpu:
        yield gpu
