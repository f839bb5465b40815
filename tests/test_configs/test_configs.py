# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmpretrain.registry import (
    HOOKS,
    METRICS,
    MODELS,
    PARAM_SCHEDULERS,
)

from pauc_mm.models import PCL
from pauc_mm.models.embed import embed_images
from pauc_mm.utils.shipped_files import config_root, resolve_config
from tests.test_configs.recipes import (
    CONFIGS,
    RECIPES,
    VARIABLES,
    load,
    save_image,
)

STEP = [
    'pauc_r50_8xb32_in100',
    'pauc_r50_8xb32_in1k',
    'pcl_r50_8xb32_in100',
    'pcl_r50_8xb32_in1k',
]
COSINE = ['pclv2_r50_8xb32_in100', 'pclv2_r50_8xb32_in1k']
JITTER = ('brightness', 'contrast', 'saturation', 'hue')
SHORT_PATHS = ('pauc_r50_8xb32_in1k', 'pauc_r18_folder', 'pauc_tiny_digits')
PACKAGED = {'SklearnDigits': 16, 'MlxtendMNIST': 16, 'IdxFashionMNIST': 28}
SIDES = {**PACKAGED, 'ImageFolder': 128}
TINY = [name for name in RECIPES if '_tiny_' in name]
# Views of full size, two if an algorithm is not here. Those of MULTI_CROP may
# take smaller ones besides.
VIEWS = {'CLD': 3}
MULTI_CROP = ('SwAV', 'CARP')


@pytest.fixture(autouse=True)
def scope_and_environment(monkeypatch):
    init_default_scope('mmpretrain')
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


# ---- every recipe ----------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize('name', SHORT_PATHS)
def test_short_paths(name):
    assert load(CONFIGS / f'{name}.py').to_dict() == load(name).to_dict()
    assert resolve_config(f'pauc_mm::{name}.py') == str(
        config_root() / f'{name}.py'
    )


def test_all_else_is_in_the_folder_of_its_method():
    short = {path.stem for path in CONFIGS.glob('*.py')}
    assert short == set(SHORT_PATHS)
    folders = {path.parent.name for path in RECIPES.values()}
    assert len(RECIPES) == sum(
        len([*(CONFIGS / name).glob('*.py')]) for name in folders
    )
    for name, path in RECIPES.items():
        method = name.partition('_')[0].removesuffix('v2')
        assert path.parent.name.removesuffix('v2') == method


@pytest.mark.parametrize('name', RECIPES)
def test_everything_builds(name):
    cfg = load(name)
    model = MODELS.build(
        {**cfg.model, 'data_preprocessor': cfg.data_preprocessor}
    )
    assert type(model).__name__ == cfg.model.type
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    trained = {id(p) for g in wrapper.param_groups for p in g['params']}
    assert {id(p) for p in model.backbone.parameters()} <= trained
    assert cfg.param_scheduler
    for scheduler in cfg.param_scheduler:
        options = {**scheduler, 'optimizer': wrapper.optimizer}
        if scheduler.get('convert_to_iter_based'):  # by the runner
            options['epoch_length'] = 10
        assert PARAM_SCHEDULERS.build(options)
    Visualizer.get_instance('test_configs')  # of VisualizationHook
    hooks = {k: HOOKS.build(h) for k, h in cfg.default_hooks.items()}
    assert {'checkpoint', 'checkpoint_guard', 'epoch_seed'} <= set(hooks)
    assert ('clustering' in hooks) == needs_an_e_step(cfg, model)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert [METRICS.build(e) for e in evaluator]
    # All that learns is trained.
    assert {id(p) for p in model.parameters() if p.requires_grad} <= trained
    # The neck fits the backbone, and gives what the queue takes.
    model.eval()
    with torch.no_grad():
        features, embeddings = embed_images(model, torch.zeros(1, 3, 32, 32))
    first = next(m for m in model.neck.modules() if hasattr(m, 'in_features'))
    assert features.shape == (1, first.in_features)
    assert embeddings.shape == (1, embedding_width(cfg, model))


def needs_an_e_step(cfg, model):
    """PCL and PAUC do, unless a mixture estimates the prototypes online."""
    return isinstance(model, PCL) and model.prototypes.needs_e_step


def embedding_width(cfg, model):
    if hasattr(model, 'queue'):
        return model.queue.shape[0]
    return cfg.model.neck.out_channels


@pytest.mark.parametrize('name', TINY)
def test_small_recipe_takes_a_step(name, tmp_path):
    """Every trainable parameter gets a gradient, on the real pipeline."""
    cfg = load(name)
    torch.manual_seed(0)
    np.random.seed(0)
    model = MODELS.build(
        {**cfg.model, 'data_preprocessor': cfg.data_preprocessor}
    ).train()
    # CosineEMA, of BYOL, asks the runner for the length of the training.
    hub = MessageHub.get_instance('test_small_recipe_takes_a_step')
    hub.update_info('max_iters', 10)
    hub.update_info('iter', 0)
    train = Compose(list(cfg.train_dataloader.dataset.pipeline))
    count = cfg.train_dataloader.batch_size
    batch = [train(source(cfg, tmp_path, seed)) for seed in range(count)]
    data = model.data_preprocessor(default_collate(batch), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()
    gradients = {
        key: p.grad for key, p in model.named_parameters() if p.requires_grad
    }
    assert not [key for key, g in gradients.items() if g is None]
    assert all(g.isfinite().all() for g in gradients.values())
    for part in (model.backbone, model.neck):
        assert any(p.grad.any() for p in part.parameters())


@pytest.mark.parametrize('name', RECIPES)
def test_pipelines_run(name, tmp_path, recwarn):
    cfg = load(name)
    train = Compose(list(cfg.train_dataloader.dataset.pipeline))
    for seed in range(4):
        np.random.seed(seed)
        torch.manual_seed(seed)
        views = train(source(cfg, tmp_path))['inputs']
        assert {view.dtype for view in views} == {torch.uint8}
        count = VIEWS.get(cfg.model.type, 2)
        assert len(views) >= count
        for view, other in itertools.combinations(views[:count], 2):
            assert view.shape == other.shape == (3, *side(cfg))
            assert not torch.equal(view, other)
        small = {view.shape for view in views[count:]}
        assert len(small) == (len(views) > count)
        assert not small or cfg.model.type in MULTI_CROP
        for channels, height, width in small:
            assert (channels, height) == (3, width)
            assert height < side(cfg)[0]
    for stage in ('val', 'test'):
        loader = cfg[f'{stage}_dataloader']
        view = Compose(list(loader.dataset.pipeline))(source(cfg, tmp_path))
        assert view['inputs'].shape == (3, *side(cfg))
        assert view['inputs'].dtype == torch.uint8
    assert not [w for w in recwarn if 'overflow' in str(w.message)]


def source(cfg, tmp_path, seed=1):
    size = PACKAGED.get(cfg.train_dataloader.dataset.type)
    if size:
        rng = np.random.RandomState(seed)
        img = rng.randint(0, 256, (size, size, 3), dtype=np.uint8)
        return dict(img=img, sample_idx=5)
    path = save_image(tmp_path / 'x.png', (300, 200))
    return dict(img_path=str(path), sample_idx=5)


def side(cfg):
    size = SIDES.get(cfg.train_dataloader.dataset.type, 224)
    return size, size


# What a run reads beside the model; the rest of a config are variables.
OF_A_RUN = set(inspect.signature(Runner.__init__).parameters) - {
    'self',
    'model',
    'env_cfg',  # how long to wait for the E-step
    'cfg',
}


@pytest.mark.parametrize('name', TINY)
def test_small_recipes_have_the_same_budget(name):
    """Data, views, epochs, batch, schedule: only the method and its rate."""
    cfg = load(name).to_dict()
    data = next(d for d in ('fashion', 'mnist', 'digits') if d in name)
    base = load(f'mocov2_tiny_{data}').to_dict()
    count = VIEWS.get(cfg['model']['type'], 2)
    (views,) = (
        t
        for t in cfg['train_dataloader']['dataset']['pipeline']
        if t['type'] == 'MultiView'
    )
    assert views['num_views'] in (count, [count])
    views['num_views'] = 2  # all from one pipeline, as compared below
    cfg['optim_wrapper']['optimizer']['lr'] = 0.04  # each method has its own
    hooks = cfg.pop('default_hooks')
    assert base.pop('default_hooks').items() <= hooks.items()
    if '_lt' in name:  # the long-tailed data sets have a test of their own
        return
    for key in OF_A_RUN - {'default_hooks'}:
        assert cfg.get(key) == base.get(key), key


@pytest.mark.parametrize('data', ['digits', 'mnist', 'fashion'])
def test_tiny_recipes_differ_in_the_method_only(data):
    moco, pcl, pauc = (
        load(f'{method}_tiny_{data}').to_dict()
        for method in ('mocov2', 'pclv2', 'pauc')
    )
    for cfg in (pauc, pcl, moco):
        del cfg['model']['type']
    for term in ('align_loss', 'uniform_loss', 'corr_loss'):
        assert pauc['model'].pop(term)
    assert pauc == pcl
    for part in ('num_clusters', 'proto_head'):
        assert pcl['model'].pop(part)
    for hook in ('clustering', 'collapse_monitor'):
        assert pcl['default_hooks'].pop(hook)
    for cfg in (pcl, moco):  # how long to wait for the E-step
        del cfg['env_cfg']
    assert pcl == moco


@pytest.mark.parametrize('name', RECIPES)
def test_loaders_and_loops(name):
    cfg = load(name)
    assert cfg.randomness.seed is not None
    assert cfg.default_scope == 'mmpretrain'
    assert cfg.custom_imports == dict(
        imports=['pauc_mm'], allow_failed_imports=False
    )
    loaders = [cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader]
    for stage, loop in (('val', 'Val'), ('test', 'Test')):
        assert cfg[f'{stage}_cfg'].type == f'Embedding{loop}Loop'
        bank = cfg[f'{stage}_cfg'].get('bank_dataloader')
        if bank is not None:
            loaders.append(bank)
            # kNN without labels in the bank, or on the query images: nonsense
            assert bank.dataset.split == 'train'
            assert bank.dataset.pipeline == cfg.test_pipeline
            assert bank.dataset.type == cfg.train_dataloader.dataset.type
            assert cfg[f'{stage}_dataloader'].dataset.split != 'train'
    for loader in loaders:
        assert not loader.get('persistent_workers', False)
        assert loader.collate_fn.type == 'default_collate'
        assert loader.dataset.get('data_root') == loaders[0].dataset.get(
            'data_root'
        )
    assert cfg.train_dataloader.drop_last
    assert cfg.train_dataloader.sampler.shuffle
    if 'queue_len' in cfg.model:
        assert cfg.model.queue_len >= cfg.train_dataloader.batch_size
    if 'clustering' in cfg.default_hooks:
        hook = cfg.default_hooks.clustering
        assert hook.pipeline == cfg.test_pipeline
        assert hook.warmup_epochs < cfg.train_cfg.max_epochs


# ---- the papers' values ----------------------------------------------------
@pytest.mark.parametrize('name', STEP + COSINE)
def test_values_common_to_the_papers(name):
    """PCL (ICLR 2021), appendix A, and PAUC (BMVC 2022), section 5.1."""
    cfg = load(name)
    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer == dict(
        type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4
    )
    assert cfg.train_cfg.max_epochs == 200
    assert cfg.default_hooks.clustering.warmup_epochs == 20
    assert cfg.train_dataloader.batch_size * 8 == 256
    assert cfg.auto_scale_lr.base_batch_size == 256
    assert cfg.model.backbone.type == 'ResNet'
    assert cfg.model.backbone.depth == 50
    assert cfg.model.feat_dim == cfg.model.neck.out_channels == 128
    assert cfg.model.momentum == pytest.approx(1 - 0.999)
    # E-step: the official code's faiss options.
    kmeans = cfg.default_hooks.clustering.kmeans
    assert kmeans.niter == 20 and kmeans.nredo == 5
    assert kmeans.max_points_per_centroid == 1000
    assert kmeans.min_points_per_centroid == 10
    assert cfg.val_evaluator[0].k == (20, 200)
    # Ours, cheaper (docs/performance.md): the papers' are 1 and False.
    assert cfg.default_hooks.clustering.interval == 5
    assert kmeans.warm_start is True


@pytest.mark.parametrize('name', STEP)
def test_values_of_pcl_v1_and_pauc(name):
    cfg = load(name)
    assert cfg.model.head.temperature == 0.1
    assert cfg.model.neck.type == 'LinearNeck'
    assert cfg.model.neck.norm_cfg is None and cfg.model.neck.gap_dim == 2


@pytest.mark.parametrize('name', COSINE)
def test_values_of_pcl_v2(name):
    cfg = load(name)
    assert cfg.model.head.temperature == 0.2
    assert cfg.model.neck == dict(
        type='MoCoV2Neck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        with_avg_pool=True,
    )


@pytest.mark.parametrize('name', [n for n in STEP if 'pauc' in n])
def test_values_of_pauc(name):
    """Eqs. 4 and 5: s = 2 and t = 2. The weights are the project's."""
    model = load(name).model
    assert model.align_loss.power == 2 and model.uniform_loss.t == 2
    assert [
        model[f'{term}_loss'].loss_weight
        for term in ('align', 'uniform', 'corr')
    ] == [1.0, 1.0, 0.1]
    assert model.corr_loss.temperature == 0.1


@pytest.mark.parametrize('name', STEP + COSINE)
def test_learning_rates(name):
    cfg = load(name)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.03)
    (scheduler,) = [
        PARAM_SCHEDULERS.build({**s, 'optimizer': optimizer})
        for s in cfg.param_scheduler
    ]
    rates = []
    for _ in range(200):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    if name in STEP:  # x0.1 at 120 and at 160
        expected = [0.03] * 120 + [0.003] * 40 + [0.0003] * 40
    else:  # the official code: 0.03 * 0.5 * (1 + cos(pi * epoch / 200))
        expected = [
            0.015 * (1 + math.cos(math.pi * e / 200)) for e in range(200)
        ]
    np.testing.assert_allclose(rates, expected, rtol=1e-9)


def names_of(transforms):
    return [t['type'] for t in transforms]


def test_augmentation_v1():
    """Official PCL code without --aug-plus: names, order and strengths."""
    view = load('pcl_r50_8xb32_in1k').view_pipeline
    assert names_of(view) == [
        'ViewResizedCrop',
        'ViewGrayscale',
        'ViewColorJitter',
        'ViewFlip',
    ]
    assert view[0].scale == 224 and view[0].crop_ratio_range == (0.2, 1.0)
    assert view[1].prob == 0.2
    jitter = [view[2][k] for k in JITTER]
    assert jitter == [0.4, 0.4, 0.4, 0.4]
    assert view[3].prob == 0.5


# ---- one place for the folder ----------------------------------------------
def test_folder_recipe_takes_the_environment(monkeypatch, tmp_path):
    cfg = load('pauc_r18_folder')
    assert cfg.train_dataloader.dataset.data_root == 'data/my_images'
    assert cfg.train_dataloader.dataset.corrupt == 'error'
    monkeypatch.setenv('DATA_ROOT', str(tmp_path / "bob's photos"))
    monkeypatch.setenv('IMAGE_SIZE', '64')
    monkeypatch.setenv('CORRUPT', 'skip')
    cfg = load('pauc_r18_folder')
    for stage in ('train', 'val', 'test'):
        dataset = cfg[f'{stage}_dataloader'].dataset
        assert dataset.data_root == str(tmp_path / "bob's photos")
        assert dataset.type == 'ImageFolder'
        assert dataset.corrupt == 'skip'
    assert cfg.view_pipeline[0].scale == 64
    assert cfg.default_hooks.clustering.pipeline[1].scale == 73
    assert cfg.default_hooks.clustering.pipeline[2].crop_size == 64


@pytest.mark.parametrize(
    'name', ['pauc_r50_8xb32_in1k', 'pclv2_r50_8xb32_in100']
)
def test_imagenet_recipes_take_the_environment(name, monkeypatch):
    assert load(name).train_dataloader.dataset.data_root == 'data/imagenet'
    monkeypatch.setenv('IMAGENET_ROOT', '/data/ilsvrc')
    cfg = load(name)
    for loader in (
        cfg.train_dataloader,
        cfg.val_dataloader,
        cfg.test_dataloader,
        cfg.val_cfg.bank_dataloader,
        cfg.test_cfg.bank_dataloader,
    ):
        assert loader.dataset.data_root == '/data/ilsvrc'


def test_a_config_elsewhere_inherits_a_recipe_and_its_data(tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'pauc_mm::pcl/pclv2_tiny_digits.py'\n"
        'train_dataloader = dict(batch_size=8)\n'
    )
    cfg = Config.fromfile(tmp_path / 'mine.py')
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    assert batch['inputs'][0].shape == (8, 3, 16, 16)
