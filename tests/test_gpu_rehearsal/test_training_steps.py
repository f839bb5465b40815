"""Training steps of the ImageNet recipes on a GPU that is not there.

One process: DistributedDataParallel and NCCL are not rehearsed.
"""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample

from pauc_mm.models import MomentumBank
from tests.helpers import images_batch, model_cfg

# Where a step waits for the GPU, all of it code of others. The images and each
# sample's label are copied while the CPU waits, and so is the order of BGR.
LOADING = {
    'mmengine/model/base_model/data_preprocessor.py',
    'mmengine/structures/base_data_element.py',
    'mmpretrain/models/utils/data_preprocessor.py',
}
SCALER = 'mmengine/optim/optimizer/amp_optimizer_wrapper.py'
LARS = 'mmpretrain/engine/optimizers/lars.py'
AVERAGE = 'mmengine/model/averaged_model.py'
HEAD = 'mmpretrain/models/heads/contrastive_head.py'
MODEL = 'mmpretrain/models/selfsup/{}.py'
SWAV = 'mmpretrain/models/losses/swav_loss.py'
EMA = 'mmpretrain/models/utils/ema.py'

slow = pytest.mark.slow
# A recipe, the views of an image, and where it waits in each step besides.
RECIPES = [
    ('pauc/pauc_r50_8xb32', 2, set()),
    ('pauc/pauc_online_gmm_r50_8xb32', 2, set()),
    ('cld/cld_r50_8xb64', 3, set()),
    ('carp/carp_decoupled_r50_8xb32', 8, {LARS}),
    ('carp/carp_r50_8xb32', 8, {LARS}),
    ('pcl/pcl_r50_8xb32', 2, set()),
    ('pcl/pclv2_r50_8xb32', 2, set()),
    ('mocov2/mocov2_r50_8xb32', 2, {AVERAGE, HEAD, MODEL.format('moco')}),
    ('swav/swav_r50_8xb32', 8, {LARS, SWAV}),
    ('byol/byol_r50_8xb32', 2, {LARS, AVERAGE, EMA}),
    ('pauc/pauc_vit-small-p16_8xb128', 2, set()),
    ('carp/carp_vit-small-p16_8xb128', 8, set()),
    ('carp/carp_decoupled_vit-small-p16_8xb128', 8, set()),
    ('simclr/simclr_r50_8xb32', 2, {LARS, HEAD, MODEL.format('simclr')}),
]
QUICK = 2  # of them, in the fast suite
IMAGES = 128  # of the data set


class Rehearsal:
    """Training of a recipe on one fake GPU."""

    def __init__(self, recipe, views, gpu, optim_wrapper):
        self.cfg = Config.fromfile(f'configs/{recipe}_in1k.py')
        self.gpu, self.views, self.iter = gpu, views, 0
        # CLD clusters a batch of all GPUs; of the others' any size is fake.
        self.size = 128 if 'cld' in recipe else 4
        self.model = MODELS.build(
            dict(self.cfg.model, data_preprocessor=self.cfg.data_preprocessor)
        )
        self._begin_mixtures()
        self.model.to('cuda')
        wrapper = dict(self.cfg.optim_wrapper, accumulative_counts=1)
        self.optim = build_optim_wrapper(
            self.model, {**wrapper, **optim_wrapper}
        )
        prototypes = getattr(self.model, 'prototypes', None)
        if getattr(prototypes, 'needs_e_step', False):
            self._hand_over(prototypes)
        if 'swav' in recipe:
            self._start_queue()

    def _begin_mixtures(self):
        prototypes = getattr(self.model, 'prototypes', None)
        for mixture in getattr(prototypes, 'mixtures', ()):
            state = mixture.state_dict()
            state['counts'][1] = 1
            mixture.load_state_dict(state)
            assert mixture.ready

    def _hand_over(self, prototypes):
        """Hand over an E-step from the CPU, as ClusteringHook does."""
        sizes = self.model.num_clusters
        prototypes.update(
            [torch.randn(k, prototypes.dim) for k in sizes],
            [torch.rand(k) for k in sizes],
            torch.stack([torch.randint(k, (IMAGES,)) for k in sizes]).int(),
            torch.device('cuda'),
        )
        self.model.seed_negatives(3)
        prototypes.bank = MomentumBank(2 * self.size, prototypes.dim, 'cuda')

    def _start_queue(self):
        hook = HOOKS.build(self.cfg.default_hooks.swav)
        hook.before_train_epoch(
            SimpleNamespace(epoch=15, world_size=1, model=self.model)
        )

    def step(self):
        """Take a training step; returns its losses and who waited."""
        hub = MessageHub.get_current_instance()
        hub.update_info_dict(dict(iter=self.iter, max_iters=100))
        self.iter += 1
        self.gpu.waits.clear()
        pixels = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
        sides = [224, 224, *[96] * 6] if self.views == 8 else [224] * 3
        batch = dict(
            inputs=[
                pixels.expand(self.size, 3, side, side)
                for side in sides[: self.views]
            ],
            data_samples=[
                DataSample(metainfo=dict(sample_idx=i)).set_gt_label(0)
                for i in range(self.size)
            ],
        )
        losses = self.model.train_step(batch, self.optim)
        return losses, set(self.gpu.waits)


def rehearse(recipe, views, gpu, **optim_wrapper):
    """Return where a steady step waits for the GPU."""
    training = Rehearsal(recipe, views, gpu, optim_wrapper)
    training.step()  # may read once what it then counts along
    losses, waits = training.step()
    for name, value in losses.items():
        assert value.device.type == 'cuda', name
        assert value.dtype == torch.float32, name
    for name, value in training.model.state_dict().items():
        assert value.device.type == 'cuda', name
    state = training.optim.optimizer.state
    for name, parameter in training.model.named_parameters():
        trained = parameter.requires_grad
        assert bool(state[parameter]) is trained, name
    return waits


@pytest.mark.filterwarnings('ignore::FutureWarning:mmengine')
@pytest.mark.parametrize(
    'recipe, views, waits',
    [
        *RECIPES[:QUICK],
        *[pytest.param(*case, marks=slow) for case in RECIPES[QUICK:]],
    ],
)
def test_mixed_precision(recipe, views, waits, gpu, short_resnet):
    got = rehearse(
        recipe, views, gpu, type='AmpOptimWrapper', dtype='bfloat16'
    )
    assert got == LOADING | waits | {SCALER}


@slow
@pytest.mark.parametrize('recipe, views, waits', RECIPES)
def test_full_precision(recipe, views, waits, gpu):
    assert rehearse(recipe, views, gpu) == LOADING | waits


def small(kind='PAUC'):
    torch.manual_seed(0)
    model = MODELS.build(model_cfg(kind))
    return model, build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            accumulative_counts=3,
            optimizer=dict(type='SGD', lr=0.1),
        ),
    )


def test_accumulated_gradients(computing_gpu):
    """The momentum encoder counts batches without asking the GPU."""
    results = []
    for device in ('cpu', 'cuda'):
        model, optim = small()
        model.encoder_k.interval = 3
        model.to(device)
        for seed in range(7):
            computing_gpu.waits.clear()
            losses = model.train_step(images_batch(seed=seed), optim)
        results.append((model.state_dict(), losses))
    assert set(computing_gpu.waits) <= LOADING
    (want, losses), (got, same) = results
    assert got['encoder_k.steps'].item() == 7
    for name, value in want.items():
        torch.testing.assert_close(got[name].cpu(), value, msg=name)
    for name, value in losses.items():
        torch.testing.assert_close(same[name].cpu(), value, msg=name)
