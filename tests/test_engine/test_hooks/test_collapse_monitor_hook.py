# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import importlib
import json
import logging
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from pauc_mm.engine.hooks.collapse_monitor_hook import (
    CollapseMonitorHook,
    parse_conditions,
)
from pauc_mm.engine.launch import prepare_launch
from pauc_mm.evaluation.collapse import measure_collapse, prototype_sets
from pauc_mm.evaluation.functional import (
    cluster_entropy,
    effective_rank,
    intra_group_variance,
    koleo,
    nesum,
    rankme,
    uniformity,
    unique_prototypes,
)
from tests.helpers import (
    PLAIN,
    embed_by_hand,
    model_cfg,
    run_cfg,
    run_ranks,
)

EMBEDDING = {
    *('uniformity', 'effective_rank', 'feature_effective_rank'),
    *('rankme', 'nesum'),
}
EVERY = {'uniformity': '< 0'}  # met by every network that has not collapsed


def monitored(work_dir, kind='PAUC', monitor=None, max_epochs=2, **changes):
    """Config of a run with the hook, which checks every epoch."""
    plain = kind if kind in ('PAUC', 'PCL') else 'PCL'
    cfg = run_cfg(work_dir, kind=plain, max_epochs=max_epochs)
    if plain != kind:
        cfg.model = MODEL[kind]()
        del cfg.default_hooks['clustering']
        monitor = {'pipeline': PLAIN, **(monitor or {})}
    cfg.default_hooks.collapse_monitor = {
        'type': 'CollapseMonitorHook',
        'interval': 1,
        'start_epoch': 1,
        **(monitor or {}),
    }
    cfg.merge_from_dict(changes)
    return cfg


def moco():
    model = model_cfg('MoCo')
    del model['num_clusters'], model['proto_head']
    return model


def simclr():
    model = model_cfg('SimCLR')
    for key in (
        'num_clusters',
        'proto_head',
        'queue_len',
        'feat_dim',
        'momentum',
    ):
        del model[key]
    return model


def byol():
    model = simclr()
    mlp = dict(
        type='NonLinearNeck',
        in_channels=8,
        hid_channels=8,
        out_channels=8,
        with_avg_pool=False,
    )
    model.update(
        type='BYOL',
        head=dict(
            type='LatentPredictHead',
            loss=dict(type='CosineSimilarityLoss'),
            predictor=mlp,
        ),
    )
    return model


MODEL = dict(MoCo=moco, SimCLR=simclr, BYOL=byol)


def lines_of(runner):
    """Lines that the runner will log."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runner.logger.addHandler(handler)
    return lines


def scalars(work_dir, prefix='collapse/'):
    """Scalars that the local backend wrote, by step."""
    (path,) = Path(work_dir).glob('*/vis_data/scalars.json')
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        entry['step']: {
            key[len(prefix) :]: value
            for key, value in entry.items()
            if key.startswith(prefix)
        }
        for entry in entries
        if any(key.startswith(prefix) for key in entry)
    }


def final_state(work_dir, epoch):
    path = Path(work_dir) / f'epoch_{epoch}.pth'
    return torch.load(path, weights_only=True)


@pytest.fixture(scope='module')
def pcl_run(tmp_path_factory):
    """Runner, log lines and work_dir of two epochs of PCL."""
    folder = tmp_path_factory.mktemp('pcl')
    cfg = monitored(
        folder,
        'PCL',
        dict(max_samples=20),
        visualizer=dict(
            type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]
        ),
        log_level='INFO',
    )
    runner = Runner.from_cfg(cfg)
    lines = lines_of(runner)
    runner.train()
    return runner, lines, folder


def test_the_values_are_those_of_the_measures(pcl_run):
    runner, _, folder = pcl_run
    model = runner.model
    dataset = runner.train_dataloader.dataset
    # Twenty of 48 images, evenly: 0, 47 and steps of 47 / 19
    rows = [round(i * 47 / 19) for i in range(20)]
    features, embeddings = embed_by_hand(model, dataset, rows)
    expected = dict(
        uniformity=uniformity(embeddings),
        effective_rank=effective_rank(embeddings),
        feature_effective_rank=effective_rank(features),
        rankme=rankme(embeddings),
        nesum=nesum(embeddings),
    )
    for m, centroids in enumerate(model.prototypes.centroids):
        assigned = model.prototypes.assignments[m]
        sizes = [int((assigned == k).sum()) for k in range(len(centroids))]
        share = unique_prototypes(centroids, (0.025,))[0.025]
        expected[f'unique_share_{m}'] = share
        expected[f'koleo_{m}'] = koleo(centroids)
        expected[f'cluster_entropy_{m}'] = cluster_entropy(sizes)
        groups = assigned[torch.tensor(rows)].tolist()
        # Those with one image of the twenty have no variance.
        groups = [g if groups.count(g) > 1 else -1 for g in groups]
        expected[f'intra_variance_{m}'] = intra_group_variance(
            embeddings, torch.tensor(groups)
        )
    got = scalars(folder)[2]
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-5), name


def test_they_are_logged_by_epoch(pcl_run):
    runner, lines, folder = pcl_run
    by_step = scalars(folder)
    assert sorted(by_step) == [1, 2]
    assert set(by_step[1]) == EMBEDDING  # no prototypes during the warm-up
    logged = [x for x in lines if x.startswith('Collapse check')]
    assert len(logged) == 2
    assert logged[1].startswith(
        'Collapse check after epoch 2 (20 images): unif'
    )
    for name, value in by_step[2].items():
        assert f'{name} {value:.4g}' in logged[1]
        hub = runner.message_hub.get_scalar(f'collapse/{name}')
        assert hub.current() == value


def test_every_interval_and_after_the_last_epoch(tmp_path):
    cfg = monitored(tmp_path, monitor=dict(interval=2), max_epochs=5)
    cfg.visualizer = dict(
        type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]
    )
    Runner.from_cfg(cfg).train()
    assert sorted(scalars(tmp_path)) == [2, 4, 5]


def test_tensorboard_gets_them(tmp_path):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    cfg = monitored(tmp_path)
    cfg.visualizer = dict(
        type='Visualizer', vis_backends=[dict(type='TensorboardVisBackend')]
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    (folder,) = tmp_path.glob('*/vis_data')
    events = EventAccumulator(str(folder)).Reload()
    points = events.Scalars('collapse/uniformity')
    assert [point.step for point in points] == [1, 2]
    hub = runner.message_hub.get_scalar('collapse/uniformity')
    assert points[-1].value == pytest.approx(hub.current(), rel=1e-6)


@pytest.mark.parametrize('epoch_seed', [True, False])
@pytest.mark.parametrize('kind', ['PAUC', 'MoCo'])
def test_weights_are_bit_for_bit_those_without_it(tmp_path, kind, epoch_seed):
    states = []
    for watched in (True, False):
        folder = tmp_path / str(watched)
        cfg = monitored(folder, kind, max_epochs=3)
        # A pipeline that draws numbers
        cfg.default_hooks.collapse_monitor.pipeline = [
            dict(type='RandomFlip', prob=0.5),
            *PLAIN,
        ]
        if not epoch_seed:  # nothing else would restore the random streams
            del cfg.default_hooks['epoch_seed']
        if not watched:
            del cfg.default_hooks['collapse_monitor']
        runner = Runner.from_cfg(cfg)
        runner.train()
        after = random.random(), np.random.rand(), torch.rand(1).item()
        states.append((runner.model.state_dict(), after))
    (with_hook, after), (without, after_without) = states
    assert after == after_without
    assert with_hook.keys() == without.keys()
    for name, value in without.items():
        assert torch.equal(with_hook[name], value), name


def test_the_mode_of_every_module_is_restored(tmp_path):
    runner = Runner.from_cfg(monitored(tmp_path, 'MoCo', max_epochs=1))
    modes = {}

    def note(when):
        modes[when] = [m.training for m in runner.model.modules()]

    (hook,) = (
        h for h in runner.hooks if type(h).__name__ == 'CollapseMonitorHook'
    )
    original = hook.after_train_epoch

    def watch(r):
        r.model.backbone.layers[0].eval()  # as frozen stages are
        note('before')
        original(r)
        note('after')

    hook.after_train_epoch = watch
    runner.train()
    assert modes['before'] == modes['after']
    assert len(set(modes['before'])) == 2


@pytest.mark.parametrize('kind', ['MoCo', 'SimCLR', 'BYOL'])
def test_other_algorithms_have_no_prototypes(tmp_path, kind):
    runner = Runner.from_cfg(monitored(tmp_path, kind, max_epochs=1))
    runner.train()
    names = {
        name[len('collapse/') :]
        for name in runner.message_hub.log_scalars
        if name.startswith('collapse/')
    }
    assert names == EMBEDDING


def test_the_momentum_encoder_can_be_watched(tmp_path):
    cfg = monitored(tmp_path, 'MoCo', dict(momentum=True), max_epochs=1)
    runner = Runner.from_cfg(cfg)
    runner.train()
    dataset = runner.train_dataloader.dataset
    measured = runner.message_hub.get_scalar('collapse/uniformity').current()
    for momentum in (True, False):
        _, embeddings = embed_by_hand(
            runner.model, dataset, range(48), momentum
        )
        same = measured == pytest.approx(uniformity(embeddings), abs=1e-6)
        assert bool(same) is momentum


def test_prototypes_of_swav():
    torch.manual_seed(0)
    loss = dict(type='SwAVLoss', feat_dim=8, num_prototypes=[5, 3])
    model = MODELS.build(
        dict(
            type='SwAV',
            backbone=model_cfg()['backbone'],
            neck=dict(
                type='SwAVNeck',
                in_channels=16,
                hid_channels=16,
                out_channels=8,
            ),
            head=dict(type='SwAVHead', loss=loss),
        )
    )
    sets = prototype_sets(model)
    layers = model.head.loss_module.prototypes
    assert [s.assignments for s in sets] == [None, None]
    assert torch.equal(sets[0].vectors, layers.prototypes0.weight)
    assert torch.equal(sets[1].vectors, layers.prototypes1.weight)
    # Assigned to the nearest by direction, whatever its length
    with torch.no_grad():
        layers.prototypes1.weight[0] *= 100
    embeddings = torch.nn.functional.normalize(torch.randn(30, 8), dim=1)
    values = measure_collapse(embeddings, embeddings, sets, np.arange(30))
    cosines = torch.nn.functional.cosine_similarity(
        embeddings[:, None], layers.prototypes1.weight[None], dim=2
    )
    nearest = cosines.argmax(dim=1)
    sizes = [int((nearest == k).sum()) for k in range(3)]
    assert values['cluster_entropy_1'] == pytest.approx(cluster_entropy(sizes))
    assert values['intra_variance_1'] == pytest.approx(
        intra_group_variance(embeddings, nearest)
    )


def test_images_without_a_direction_are_left_out_and_said():
    embeddings = torch.nn.functional.normalize(torch.randn(9, 4), dim=1)
    features = torch.randn(9, 5)
    dead = torch.cat([embeddings, torch.zeros(3, 4)])
    values = measure_collapse(
        torch.cat([features, torch.zeros(3, 5)]), dead, [], np.arange(12)
    )
    assert values['zero_share'] == pytest.approx(0.25)
    whole = measure_collapse(features, embeddings, [], np.arange(9))
    assert {k: values[k] for k in whole} == whole
    with pytest.raises(ValueError, match='12 of 12 embeddings are zero'):
        measure_collapse(torch.zeros(12, 5), 0 * dead, [], np.arange(12))


def test_it_stops_after_the_patience_and_saves(tmp_path):
    cfg = monitored(
        tmp_path,
        monitor=dict(stop=EVERY, patience=2, start_epoch=2),
        max_epochs=6,
    )
    # Epoch 3 would not be saved.
    cfg.default_hooks.checkpoint.update(interval=4, save_last=False)
    runner = Runner.from_cfg(cfg)
    lines = lines_of(runner)
    runner.train()
    assert runner.epoch == 3
    state = final_state(tmp_path, 3)
    assert state['meta']['epoch'] == 3
    for name, value in runner.model.state_dict().items():
        assert torch.equal(state['state_dict'][name], value), name
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_3.pth')
    signs, stop = (line for line in lines if 'uniformity = ' in line)
    assert signs.startswith('Signs of collapse: uniformity = -')
    assert '< 0 (check 1 of 2)' in signs
    assert stop.startswith('Training stops after epoch 3')
    assert 'optim_wrapper.optimizer.lr' in stop


@pytest.mark.slow
def test_a_stopped_run_resumes_with_all_its_patience(tmp_path):
    monitor = dict(stop=EVERY, patience=2)
    Runner.from_cfg(monitored(tmp_path, monitor=monitor, max_epochs=9)).train()
    runner = Runner.from_cfg(
        monitored(tmp_path, monitor=monitor, max_epochs=9, resume=True)
    )
    runner.train()
    assert runner.epoch == 4  # two of the first run, two of this one
    history = runner.message_hub.get_scalar('collapse/uniformity')
    assert len(history.data[0]) == 4
    cfg = monitored(tmp_path, monitor={}, max_epochs=5, resume=True)
    cfg.param_scheduler[0].T_max = 9  # the checkpoint's
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.epoch == 5


def test_a_killed_run_remembers_what_it_has_counted(tmp_path):
    monitor = dict(stop=EVERY, patience=3)
    cfg = monitored(tmp_path, monitor=monitor, max_epochs=9)
    runner = Runner.from_cfg(cfg)

    def die(*args, **kwargs):
        if runner.epoch == 2:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    step, runner.model.train_step = runner.model.train_step, die
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    runner = Runner.from_cfg(
        monitored(tmp_path, monitor=monitor, max_epochs=9, resume=True)
    )
    runner.train()
    assert runner.epoch == 3


def test_a_check_in_between_starts_the_count_again(tmp_path):
    cfg = monitored(
        tmp_path, monitor=dict(stop=EVERY, patience=2), max_epochs=4
    )
    runner = Runner.from_cfg(cfg)
    (hook,) = (
        h for h in runner.hooks if type(h).__name__ == 'CollapseMonitorHook'
    )
    original = hook._stop

    def now_and_then(r, values):
        odd = r.epoch % 2
        original(r, {'uniformity': 1.0 if odd else -1.0})

    hook._stop = now_and_then
    runner.train()
    assert runner.epoch == 4


def test_conditions_on_any_of_the_sets():
    conditions = parse_conditions(
        'stop', {'unique_share': '<0.5', 'effective_rank': ' > 1e1 '}
    )
    assert conditions == [
        ('unique_share', '<', 0.5),
        ('effective_rank', '>', 10.0),
    ]
    healthy = {
        'unique_share_0': 0.5,
        'unique_share_1': 1.0,
        'effective_rank': 10.0,
        'feature_effective_rank': 99.0,  # another measure
    }
    assert [c.met_by(healthy) for c in conditions] == [None, None]
    collapsed = {**healthy, 'unique_share_12': 0.25}
    assert conditions[0].met_by(collapsed) == 'unique_share_12 = 0.25 < 0.5'


def trained_on_ranks(folder, stop):
    # In pieces, as of a million images
    importlib.import_module('pauc_mm.embedding.dataset')._ROWS_AT_ONCE = 5
    cfg = monitored(
        folder,
        'PCL',
        dict(max_samples=13, stop=stop, patience=1),
        max_epochs=3,
    )
    cfg.train_dataloader.batch_size = 8
    cfg.launcher = 'pytorch'
    prepare_launch(cfg)
    runner = Runner.from_cfg(cfg)
    runner.train()
    hub = runner.message_hub
    values = {
        name: hub.get_scalar(name).current()
        for name in hub.log_scalars
        if name.startswith('collapse/')
    }
    model = getattr(runner.model, 'module', runner.model)
    return values, runner.epoch, model.state_dict()


@pytest.mark.slow
def test_two_processes_agree(tmp_path):
    """Each embeds a part; values and the end of the run agree."""
    results = run_ranks(
        trained_on_ranks, 2, tmp_path / 'r', tmp_path / 'run', EVERY
    )
    (values, epoch, state), (other, other_epoch, _) = results
    assert values == other
    assert epoch == other_epoch == 1
    model = MODELS.build(model_cfg('PCL'))
    model.load_state_dict(state)
    runner = Runner.from_cfg(run_cfg(tmp_path / 'data'))
    rows = [round(i * 47 / 12) for i in range(13)]
    features, embeddings = embed_by_hand(
        model,
        runner.build_dataloader(runner._train_dataloader).dataset,
        rows,
    )
    assert values == {
        'collapse/uniformity': pytest.approx(uniformity(embeddings), abs=1e-5),
        'collapse/effective_rank': pytest.approx(
            effective_rank(embeddings), abs=1e-4
        ),
        'collapse/feature_effective_rank': pytest.approx(
            effective_rank(features), abs=1e-4
        ),
        'collapse/rankme': pytest.approx(rankme(embeddings), abs=1e-4),
        'collapse/nesum': pytest.approx(nesum(embeddings), abs=1e-4),
    }


@pytest.mark.parametrize(
    'monitor, message',
    [
        (dict(interval=0), r'collapse_monitor.interval must be .*>= 1, got 0'),
        (dict(max_samples=1), 'collapse_monitor.max_samples must be'),
        (dict(patience=True), 'collapse_monitor.patience must be'),
        (dict(num_workers=-1), 'collapse_monitor.num_workers must be'),
        (dict(amp_dtype='half'), 'collapse_monitor.amp_dtype must be one of'),
        (dict(stop='rank < 2'), 'collapse_monitor.stop must be a dict'),
        (dict(stop=['rank < 2']), 'collapse_monitor.stop must be a dict'),
        (dict(stop=dict(uniformity='> 2 or so')), "got '> 2 or so'"),
        (
            dict(stop=dict(rank='< 2')),
            "collapse_monitor.stop.*'rank'",
        ),
        (dict(stop=dict(uniformity='= 2')), r"uniformity must be '<' or '>'"),
        (dict(stop=dict(uniformity='> big')), r"such as '< 2', got '> big'"),
        (dict(stop=dict(uniformity='> nan')), r"such as '< 2', got '> nan'"),
        (dict(stop=dict(uniformity=-0.1)), r"such as '< 2', got -0.1"),
    ],
)
def test_bad_arguments_name_the_key(tmp_path, monitor, message):
    with pytest.raises(ValueError, match=message):
        Runner.from_cfg(monitored(tmp_path, monitor=monitor))


NO_NECK = {'model.neck': None}


@pytest.mark.parametrize(
    'kind, monitor, changes, error, message',
    [
        ('SimCLR', {}, NO_NECK, TypeError, 'SimCLR has no neck'),
        (
            'SimCLR',
            dict(momentum=True),
            {},
            TypeError,
            'no momentum encoder',
        ),
        (
            'MoCo',
            dict(stop=dict(unique_share='< 0.1')),
            {},
            ValueError,
            'unique_share, but a MoCo has no prototypes',
        ),
        (
            'MoCo',
            dict(stop=EVERY, start_epoch=2),
            {},
            ValueError,
            r'start_epoch=2 leave 0 check.*patience=2',
        ),
        (
            'MoCo',
            dict(pipeline=None),
            {},
            ValueError,
            'collapse_monitor.pipeline is not set',
        ),
        (
            'MoCo',
            dict(pipeline=[dict(type='LoadImageFromFile'), *PLAIN]),
            {},
            ValueError,
            r'collapse_monitor.pipeline must give one view.*img_path',
        ),
        (
            'MoCo',
            {},
            {
                'train_dataloader.dataset.num_images': 1,
                'train_dataloader.batch_size': 1,
            },
            ValueError,
            'train_dataloader.dataset has 1',
        ),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    tmp_path, kind, monitor, changes, error, message
):
    runner = Runner.from_cfg(monitored(tmp_path, kind, monitor, **changes))
    with pytest.raises(error, match=message):
        runner.train()
    assert runner.iter == 0


def test_a_loop_without_epochs_is_refused(tmp_path):
    cfg = monitored(tmp_path, 'MoCo')
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=5)
    cfg.param_scheduler = None
    with pytest.raises(TypeError, match='train_cfg.type.*IterBased'):
        Runner.from_cfg(cfg).train()


def test_the_pipeline_comes_from_the_config(tmp_path):
    # As with --cfg-options default_hooks.collapse_monitor.type=...
    cfg = monitored(tmp_path, 'MoCo', dict(pipeline=None), max_epochs=1)
    cfg.test_pipeline = PLAIN
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert 'collapse/uniformity' in runner.message_hub.log_scalars


def test_a_diverged_network_is_named(tmp_path):
    runner = Runner.from_cfg(monitored(tmp_path, 'MoCo', max_epochs=2))
    step = runner.model.train_step

    def diverge(*args, **kwargs):
        outputs = step(*args, **kwargs)
        with torch.no_grad():
            runner.model.neck.fc.weight.fill_(float('nan'))
        return outputs

    runner.model.train_step = diverge
    with pytest.raises(
        RuntimeError, match=r'check after epoch 1 failed: 48 of 48 embeddings'
    ):
        runner.train()


@pytest.mark.parametrize(
    'patience, values, said',
    [
        # A check that meets no condition starts the count again.
        (2, [1, -1, 1, -1, -1], ['', '1 of 2', '', '1 of 2', 'after epoch 5']),
        (1, [0, -1], ['', 'after epoch 2']),
        (3, [-1, -1, 1, 1], ['1 of 3', '2 of 3', '', '']),
    ],
)
def test_checks_in_a_row_are_counted(patience, values, said):
    hook = CollapseMonitorHook(
        stop={'uniformity': '< 0'}, patience=patience, start_epoch=1
    )
    lines = []
    runner = SimpleNamespace(
        message_hub=MessageHub('monitor'),
        logger=SimpleNamespace(warning=lines.append),
        train_loop=SimpleNamespace(_max_epochs=9),
        hooks=[],
    )
    for runner.epoch, (value, words) in enumerate(zip(values, said)):
        lines.clear()
        hook._stop(runner, {'uniformity': value, 'effective_rank': -1.0})
        assert words in ''.join(lines) and len(lines) == bool(words)
    stopped = 'after' in said[-1]
    if stopped:  # a run that is resumed has all its patience again
        assert not runner.message_hub.get_info('collapse_monitor_strikes')
    assert runner.train_loop._max_epochs == (len(values) if stopped else 9)


@pytest.mark.parametrize(
    'text, sign, threshold',
    [
        ('> -0.1', '>', -0.1),
        ('<.5', '<', 0.5),
        ('<+2.', '<', 2.0),
        ('< 1e-3', '<', 1e-3),
        ('>2.5E+1 ', '>', 25.0),
    ],
)
def test_thresholds_are_read_as_written(text, sign, threshold):
    conditions = parse_conditions('stop', {'uniformity': text})
    assert conditions == [('uniformity', sign, threshold)]


@pytest.mark.parametrize(
    'name, least',
    [('interval', 1), ('max_samples', 2), ('patience', 1), ('start_epoch', 0)],
)
def test_the_least_of_each_number(name, least):
    assert getattr(CollapseMonitorHook(**{name: least}), name) == least
    with pytest.raises(ValueError, match=f'collapse_monitor.{name} must be'):
        CollapseMonitorHook(**{name: least - 1})


def test_defaults_are_those_of_the_guide():
    guide = Path(__file__).parents[3] / 'docs/diagnosis.md'
    hook, text = CollapseMonitorHook(), guide.read_text(encoding='utf-8')
    for name in ('start_epoch', 'patience'):
        assert f'`{name}={getattr(hook, name)}`' in text
    assert (hook.interval, hook.max_samples) == (5, 2000)


@pytest.mark.parametrize(
    'interval, start, patience, epochs, left',
    [
        (2, 4, 2, 7, None),  # after epochs 4 and 6
        (2, 4, 2, 6, 1),  # a stop after the last would stop nothing
        (2, 5, 2, 7, 1),
        (1, 0, 3, 4, None),
        (1, 0, 3, 3, 2),
        (5, 1, 1, 5, 0),
    ],
)
def test_conditions_that_could_never_stop(
    interval, start, patience, epochs, left
):
    options = dict(interval=interval, start_epoch=start, patience=patience)
    runner = SimpleNamespace(model=torch.nn.Identity(), max_epochs=epochs)
    CollapseMonitorHook(**options)._check_conditions(runner)  # has none
    hook = CollapseMonitorHook(stop=EVERY, **options)
    if left is None:
        hook._check_conditions(runner)
        return
    with pytest.raises(ValueError, match=rf'leave {left} check\(s\)'):
        hook._check_conditions(runner)


def test_all_conditions_that_are_met_are_told():
    stop = {
        'uniformity': '< 0',
        'effective_rank': '< 2',
        'feature_effective_rank': '< 2',
    }
    hook = CollapseMonitorHook(stop=stop, patience=1, start_epoch=3)
    lines, loop = [], SimpleNamespace(_max_epochs=9)
    runner = SimpleNamespace(
        message_hub=MessageHub('several'),
        logger=SimpleNamespace(warning=lines.append),
        train_loop=loop,
        hooks=[],
    )
    values = dict(uniformity=-1, effective_rank=9, feature_effective_rank=1.5)
    runner.epoch = 1  # after 2 epochs of 3
    hook._stop(runner, values)
    assert not lines and loop._max_epochs == 9
    runner.epoch = 2
    hook._stop(runner, values)
    met = 'uniformity = -1 < 0 and feature_effective_rank = 1.5 < 2 (check 1'
    assert met in lines[0] and loop._max_epochs == 3


def test_the_first_and_the_last_image_are_tried(tmp_path):
    cfg = monitored(tmp_path, 'MoCo', dict(max_samples=20))
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset
    )
    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    (hook,) = (h for h in runner.hooks if isinstance(h, CollapseMonitorHook))
    tried = []
    hook.embed = lambda runner, rows: tried.append(list(rows))
    hook.before_train(runner)
    assert tried == [[0, 47]] and len(hook.rows) == 20
