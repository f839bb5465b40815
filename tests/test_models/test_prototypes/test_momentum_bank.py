# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import Runner

from pauc_mm.embedding.e_step import extract_embeddings
from pauc_mm.models import MomentumBank
from tests.helpers import run_cfg

CPU = torch.device('cpu')


def filled(num, dim=8, places=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    keys = F.normalize(torch.randn(num, dim, generator=generator), dim=1)
    places = torch.arange(num) if places is None else places
    bank = MomentumBank(num, dim, CPU)
    for part in torch.arange(num).split(5):
        bank.write(places[part], keys[part])
    return bank, keys


def test_rows_come_back_at_their_images():
    places = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    bank, keys = filled(12, places=places)
    matrix = torch.zeros(12, 8)
    bank.add_to(matrix, torch.arange(12))
    assert torch.equal(matrix[places], keys)
    assert bank.visits(13).tolist() == [1] * 12 + [0]
    # Into two rows alone, of images 7 and 3
    rows = torch.full((12,), -1)
    rows[[7, 3]] = torch.arange(2)
    few = torch.ones(2, 8)
    bank.add_to(few, rows)
    assert torch.equal(few, 1 + matrix[[7, 3]])
    # Of an epoch that ended early
    part = MomentumBank(20, 8, CPU)
    part.sample_idx.zero_()
    part.embeddings.fill_(9)
    part.write(places[:3], keys[:3].clone().requires_grad_())
    assert not part.embeddings.requires_grad
    assert part.visits(12).nonzero().flatten().tolist() == sorted(places[:3])
    matrix.zero_()
    part.add_to(matrix, torch.arange(12))
    assert torch.equal(matrix[places[:3]], keys[:3])
    assert matrix.any(dim=1).sum() == 3


def test_more_images_than_are_copied_at_once():
    number = 70_000
    bank = MomentumBank(number, 1, CPU)
    keys, places = torch.arange(number).float(), torch.arange(number).flip(0)
    bank.write(places, keys[:, None])
    matrix = torch.zeros(number, 1)
    bank.add_to(matrix, torch.arange(number))
    assert torch.equal(matrix[:, 0], keys.flip(0))


def test_more_than_was_said_is_an_error():
    bank, keys = filled(10)
    with pytest.raises(RuntimeError, match='is 10,.*epoch has 11 images'):
        bank.write(torch.tensor([0]), keys[:1])


@pytest.fixture
def hook_and_model(tmp_path):
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=2))
    runner.train()
    hook = next(
        h for h in runner.hooks if type(h).__name__ == 'ClusteringHook'
    )
    return hook, runner.model


def test_only_unseen_images_are_embedded(hook_and_model, monkeypatch):
    hook, model = hook_and_model
    whole = extract_embeddings(model, hook.dataset, 16).gather()
    places = torch.tensor([4, 40, 7, 4, 9])  # image 4 was seen twice
    bank, keys = filled(5, places=places)
    loaded = []
    load = type(hook.dataset).__getitem__
    monkeypatch.setattr(
        type(hook.dataset),
        '__getitem__',
        lambda self, i: (loaded.append(i), load(self, i))[1],
    )
    mixed = extract_embeddings(model, hook.dataset, 16, bank=bank).gather()
    assert sorted(loaded) == [i for i in range(48) if i not in (4, 7, 9, 40)]
    torch.testing.assert_close(mixed[loaded], whole[loaded])
    for place, row in ((40, 1), (7, 2), (9, 4)):
        assert torch.equal(mixed[place], keys[row])
    torch.testing.assert_close(mixed[4], F.normalize(keys[0] + keys[3], dim=0))


def test_a_full_bank_needs_no_image(hook_and_model, monkeypatch):
    hook, model = hook_and_model
    bank, keys = filled(48)
    monkeypatch.setattr('pauc_mm.embedding.dataset.Runner', None)
    assert torch.equal(
        extract_embeddings(model, hook.dataset, 16, bank=bank).gather(), keys
    )


def test_an_empty_bank_embeds_everything(hook_and_model):
    hook, model = hook_and_model
    torch.testing.assert_close(
        extract_embeddings(
            model, hook.dataset, 16, bank=MomentumBank(48, 8, CPU)
        ).gather(),
        extract_embeddings(model, hook.dataset, 16).gather(),
    )


@pytest.mark.parametrize('to_rgb', [False, True])
def test_the_network_sees_the_memory_format(hook_and_model, to_rgb):
    # the preprocessor's change of channels gives plain contiguous images
    from mmpretrain.registry import MODELS

    hook, model = hook_and_model
    model.data_preprocessor = MODELS.build(
        dict(type='SelfSupDataPreprocessor', to_rgb=to_rgb)
    )
    seen = []
    encoder = model.encoder_k.module[0]
    handle = encoder.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    for wanted in (False, True):
        extract_embeddings(
            model, hook.dataset, 48, channels_last=wanted
        ).gather()
    handle.remove()
    formats = [
        x.is_contiguous(memory_format=torch.channels_last) for x in seen
    ]
    assert formats == [False, True]


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('dtype', [None, 'bfloat16'])
def test_cheaper_extraction_is_near_the_exact_one(
    hook_and_model, dtype, channels_last
):
    hook, model = hook_and_model
    exact = extract_embeddings(model, hook.dataset, 16).gather()
    cheap = extract_embeddings(
        model,
        hook.dataset,
        16,
        amp_dtype=dtype,
        channels_last=channels_last,
    ).gather()
    assert cheap.dtype == torch.float32
    # bfloat16 has 8 bits of mantissa
    similarity = (exact * cheap).sum(dim=1).min().item()
    assert similarity > (1 - 1e-6 if dtype is None else 0.999)
    assert torch.equal(exact, cheap) is (dtype is None and not channels_last)


def test_the_bank_holds_the_keys_of_the_epoch(tmp_path):
    cfg = run_cfg(tmp_path, max_epochs=3, warmup_epochs=2)
    cfg.default_hooks.clustering.features = 'momentum_bank'
    cfg.train_dataloader.batch_size = 15  # 3 of 48 images left over
    runner = Runner.from_cfg(cfg)
    hook = next(
        h for h in runner.hooks if type(h).__name__ == 'ClusteringHook'
    )
    model, seen, made = runner.model, {}, []
    encode, e_step = model.encode_keys, hook.e_step

    def remember_keys(images):
        seen[runner.iter] = encode(images)
        return seen[runner.iter]

    def remember_bank(runner, epoch):
        made.append((runner.epoch, epoch))
        bank = model.prototypes.bank
        keys = torch.cat([seen[i] for i in range(3, 6)])  # epoch 1 of 0..2
        assert torch.equal(bank.embeddings[: bank.used], keys)
        assert bank.used == 45
        e_step(runner, epoch)
        assert model.prototypes.bank is None  # its memory is free again

    model.encode_keys, hook.e_step = remember_keys, remember_bank
    runner.train()
    assert made == [(1, 2)]  # once, at the end of the epoch before
    assert model.prototypes.epoch == 2
