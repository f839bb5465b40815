# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F

from pauc_mm.embedding import e_step
from pauc_mm.models import MomentumBank
from pauc_mm.utils import Shard
from tests.helpers import embed_by_hand
from tests.test_embedding.test_dataset import build_model, tiny


@pytest.mark.parametrize('momentum', [None, True, False])
def test_the_encoder_and_the_bank(monkeypatch, momentum):
    said = []
    monkeypatch.setattr(
        e_step, 'print_log', lambda text, **_: said.append(text)
    )
    monkeypatch.setattr(e_step, '_ROWS_AT_ONCE', 1)
    model, dataset = build_model(), tiny()
    options = {} if momentum is None else dict(momentum=momentum)
    _, want = embed_by_hand(model, dataset, range(11), momentum is not False)
    whole = e_step.extract_embeddings(model, dataset, 4, **options).gather()
    torch.testing.assert_close(whole, want)
    keys = F.normalize(torch.randn(5, 8), dim=1)
    bank = MomentumBank(5, 8, torch.device('cpu'))
    bank.write(torch.tensor([4, 7, 4, 7, 9]), keys)
    mixed = e_step.extract_embeddings(
        model, dataset, 4, bank=bank, **options
    ).gather()
    for row, mean in ((4, keys[0] + keys[2]), (7, keys[1] + keys[3])):
        want[row] = F.normalize(mean, dim=0)
    want[9] = keys[4]
    torch.testing.assert_close(mixed, want)
    assert len(said) == 1 and said[0].startswith('8 of 11 images')
    bank = MomentumBank(10, 8, torch.device('cpu'))  # all but one
    bank.write(torch.arange(1, 11), want[1:])
    again = e_step.extract_embeddings(
        model, dataset, 4, bank=bank, **options
    ).gather()
    torch.testing.assert_close(again, want)


def test_options_reach_the_embedding(monkeypatch):
    calls = []

    def embed(*args, **options):
        calls.append((args, options))
        return None, torch.zeros(11, 8)

    monkeypatch.setattr(e_step, 'embed_dataset', embed)
    images = range(11)
    e_step.extract_embeddings(None, images, 4, 3, False, amp_dtype='float16')
    options = dict(features=False, whole=False, amp_dtype='float16')
    assert calls == [((None, images, None, 4, 3, False), options)]


@pytest.mark.parametrize('named', [True, False])
def test_what_is_not_finite_is_named(named):
    vectors = torch.ones(9, 4)
    shard = Shard.of(vectors)  # of one process: the matrix itself
    e_step.check_finite(shard, 3)
    vectors[3, 0] = torch.nan
    with pytest.raises(RuntimeError, match='1 of 9 .* sample_idx: 3[.]'):
        e_step.check_finite(shard, 3)
    part = Shard(vectors, 2 * torch.arange(9) + 1, 18)  # of one of two
    with pytest.raises(RuntimeError, match='1 of 18 .* sample_idx: 7[.]'):
        e_step.check_finite(part, 3)
    vectors[[1, 3, 4, 5, 6], 0] = torch.nan
    vectors[8, 2] = torch.inf
    found, options = '1, 3, 4, 5, 6[.] AMP: off', {}
    if named:
        found = r'1 \(1.png\), 3, 4 .*, 6 \(6.png\)[.] AMP: float16'
        options = dict(
            path=lambda i: None if i == 3 else f'{i}.png', amp='float16'
        )
    with pytest.raises(
        RuntimeError, match=f'6 of 9 .* epoch 3; first sample_idx: {found}'
    ):
        e_step.check_finite(shard, 3, **options)
