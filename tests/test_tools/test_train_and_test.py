# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmpretrain.registry import DATASETS, METRICS, MODELS

from pauc_mm.apis import test, train
from pauc_mm.apis.config import load_config


@DATASETS.register_module()
class ToolNumbers(torch.utils.data.Dataset):
    """The numbers 0 to 7."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([float(index)]))


@MODELS.register_module()
class ToolModel(BaseModel):
    """One weight; the loss is its distance from 1."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def init_weights(self):
        self.weight.data.fill_(-3)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            return dict(loss=(self.weight - 1).square().sum())
        return [self.weight.detach().expand(len(inputs))]


@METRICS.register_module()
class ToolMetric(BaseMetric):
    """The weight."""

    def process(self, data_batch, data_samples):
        self.results += [float(data_samples[0][0])]

    def compute_metrics(self, results):
        return dict(weight=results[0], count=len(results))


CONFIG = """
default_scope = 'mmpretrain'
loader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=True,
    dataset=dict(type='ToolNumbers'),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
model = dict(type='ToolModel')
train_dataloader = val_dataloader = loader
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = dict()
val_evaluator = dict(type='ToolMetric')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.5))
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(
    logger=None, checkpoint_guard=dict(type='CheckpointGuardHook')
)
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    (tmp_path / 'recipe.py').write_text(CONFIG)
    return 'recipe.py'


def merged(module, *argv):
    args = module.get_parser().parse_args(argv)
    return module.merge_args(load_config(args, argv[0]), args)


def test_train_then_test(config, capsys):
    train.main([config])
    assert Path('work_dirs/recipe/epoch_2.pth').is_file()
    capsys.readouterr()
    metrics = test.main(
        [config, 'work_dirs/recipe/epoch_2.pth', '--out', 'a/metrics.json']
    )
    # One step of lr 0.5 on the square reaches the minimum.
    assert metrics == dict(weight=1.0, count=2)
    assert json.loads(Path('a/metrics.json').read_text()) == metrics
    assert 'weight  1' in capsys.readouterr().out


def test_any_training_stops_when_it_diverges(config):
    rate = 'optim_wrapper.optimizer.lr=1e38'
    with pytest.raises(FloatingPointError, match='epoch 1, iteration 2: loss'):
        train.main([config, '--cfg-options', rate])


@pytest.mark.parametrize('argv', [[], ['none']])
def test_without_a_checkpoint_the_initialised_model_is_measured(config, argv):
    assert test.main([config, *argv])['weight'] == -3.0


def test_amp_trains_on_a_cpu(config):
    train.main([config, '--amp', '--no-validate', '--work-dir', 'amp'])
    state = torch.load('amp/epoch_2.pth', weights_only=False)['state_dict']
    assert state['weight'].dtype == torch.float32
    assert state['weight'].item() == pytest.approx(1, abs=2**-7)


def test_auto_scale_lr_scales(config, monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def spy(self, *args, **kwargs):
        rates.append(self.param_groups[0]['lr'])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, 'step', spy)
    train.main([config, '--auto-scale-lr'])
    assert set(rates) == {0.25}  # batch of 4 against 8


def test_auto_scale_lr_needs_the_batch_size(config):
    options = ['--auto-scale-lr', '--cfg-options', 'auto_scale_lr=None']
    with pytest.raises(ValueError, match='auto_scale_lr.base_batch_size'):
        merged(train, config, *options)


@pytest.mark.parametrize('options', [['--resume'], ['--resume', 'auto']])
def test_resume_from_the_latest(config, options):
    cfg = merged(train, config, *options)
    assert cfg.resume is True
    assert cfg.load_from is None


def test_resume_from_a_file(config):
    Path('a.pth').touch()
    cfg = merged(train, config, '--resume', 'a.pth')
    assert (cfg.resume, cfg.load_from) == (True, 'a.pth')
    with pytest.raises(FileNotFoundError, match="'b.pth'"):
        merged(train, config, '--resume', 'b.pth')


def test_no_resume_by_default(config):
    assert not merged(train, config).get('resume')


def test_no_validate(config):
    cfg = merged(train, config, '--no-validate')
    assert (cfg.val_cfg, cfg.val_dataloader, cfg.val_evaluator) == (None,) * 3


def test_no_pin_memory(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert merged(train, config).train_dataloader.pin_memory is True
    cfg = merged(train, config, '--no-pin-memory')
    assert cfg.train_dataloader.pin_memory is False


def test_missing_checkpoint(config):
    with pytest.raises(FileNotFoundError, match="'b.pth'.*untrained"):
        merged(test, config, 'b.pth')


def test_the_test_loop_takes_the_place_of_the_validation_loop(config):
    cfg = Config.fromfile(config)
    cfg.val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=dict(a=1))
    test.use_val_for_test(cfg)
    assert cfg.test_cfg.type == 'EmbeddingTestLoop'
    assert cfg.test_cfg.bank_dataloader == dict(a=1)
    assert cfg.val_cfg.type == 'EmbeddingValLoop'


def test_an_own_test_loop_is_kept(config):
    cfg = Config.fromfile(config)
    cfg.test_dataloader = dict(batch_size=1)
    cfg.test_evaluator = dict(type='Other')
    test.use_val_for_test(cfg)
    assert cfg.test_evaluator.type == 'Other'
    assert cfg.test_cfg == dict()


@pytest.mark.parametrize(
    'missing, match',
    [('val_dataloader', 'val_dataloader'), ('val_evaluator', 'evaluator')],
)
def test_nothing_to_test(config, missing, match):
    with pytest.raises(ValueError, match=match):
        merged(test, config, 'none', '--cfg-options', f'{missing}=None')


@pytest.mark.parametrize('module', [train, test])
def test_help_and_missing_config(module, config, capsys):
    with pytest.raises(SystemExit) as exit_info:
        module.main(['--help'])
    assert exit_info.value.code == 0
    assert 'examples:' in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_info:
        module.main(['nowhere.py'])
    assert exit_info.value.code == 2


def test_out_must_be_json(config, capsys):
    with pytest.raises(SystemExit):
        test.main([config, '--out', 'metrics.pkl'])
    assert '.json' in capsys.readouterr().err


def test_format_metrics():
    text = test.format_metrics({'knn/top1': 0.97316, 'count': 3})
    assert text.splitlines()[2:] == ['knn/top1  0.97316', 'count     3']
