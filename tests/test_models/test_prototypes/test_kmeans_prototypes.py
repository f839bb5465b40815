# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmpretrain.structures import DataSample

from pauc_mm.models.prototypes import KMeansPrototypes, MomentumBank
from tests.helpers import model_cfg

CPU = torch.device('cpu')


def filled(epoch=None):
    prototypes = KMeansPrototypes([2, 2], 2)
    prototypes.update(
        [torch.tensor([[3.0, 4.0], [0.0, 2.0]]).double(), torch.eye(2)],
        [torch.tensor([0.1, 0.2]).double(), torch.tensor([0.3, 0.4])],
        torch.tensor([[0, 1, 1], [1, 0, 1]], dtype=torch.int32),
        CPU,
        epoch,
    )
    return prototypes


def test_centroids_are_normalised_and_assignments_looked_up():
    assert not KMeansPrototypes([2, 2], 2).ready
    prototypes = filled()
    assert prototypes.ready and prototypes.sizes == (2, 2)
    with pytest.raises(ValueError, match='model.prototypes.seed .* got 3'):
        KMeansPrototypes([2, 2], 2, seed=3)
    torch.testing.assert_close(
        prototypes.concentrations(), torch.tensor([0.1, 0.2, 0.3, 0.4])
    )
    torch.testing.assert_close(
        prototypes.centroids[0], torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    )
    found = prototypes.lookup(torch.tensor([2, 0]))
    assert found.tolist() == [[1, 0], [1, 1]]
    assert found.dtype == torch.int64


@pytest.mark.parametrize('ready', [False, True])
@pytest.mark.parametrize('kept', [False, True])
def test_clusters_are_looked_up_and_keys_kept(ready, kept):
    prototypes = filled() if ready else KMeansPrototypes([2, 2], 2)
    bank = prototypes.bank = MomentumBank(3, 2, CPU) if kept else None
    samples = [DataSample(metainfo=dict(sample_idx=i)) for i in (2, 0)]
    found = prototypes.assign(torch.eye(2), samples)
    if ready:
        assert found.tolist() == [[1, 0], [1, 1]]
    else:
        assert found is None
    if kept:
        assert bank.used == 2 and bank.sample_idx[:2].tolist() == [2, 0]
        assert torch.equal(bank.embeddings[:2], torch.eye(2))


def test_state_survives_bit_for_bit():
    # normalising once more on loading would change the last bit
    prototypes = filled(epoch=3)
    prototypes.assignments[1, 2] = 70_000  # as many as the papers have
    state = prototypes.clustering()
    assert state['assignments'].dtype == torch.int32  # half of the file
    other = KMeansPrototypes([5, 2], 2)  # three have stayed empty
    other.load_clustering(state, CPU)
    assert other.epoch == 3 and other.sizes == (2, 2)
    for a, b in zip(prototypes.centroids, other.centroids):
        assert torch.equal(a, b)
    assert torch.equal(prototypes.assignments, other.assignments)
    del state['epoch']  # as it was at first
    other.load_clustering(state, CPU)
    assert other.epoch is None
    # a view would take all sets into the file
    for part in state['centroids'] + state['concentrations']:
        assert part.untyped_storage().nbytes() == part.nbytes


@pytest.mark.parametrize('num_sets', [1, 2])
def test_sets_have_their_centroids_and_assignments(num_sets):
    prototypes = KMeansPrototypes([2] * num_sets, 2)
    assert prototypes.sets() == prototypes.centroids == []
    assert prototypes.clustering() == {}
    assignments = torch.tensor([[0, 1, 1], [1, 0, 1]])[:num_sets]
    centroids = [torch.eye(2), -torch.eye(2)][:num_sets]
    phi = [torch.tensor([0.1, 0.2])] * num_sets
    prototypes.update(centroids, phi, assignments, CPU)
    assert prototypes.ready
    for m, found in enumerate(prototypes.sets()):
        assert torch.equal(found[0], centroids[m])
        assert torch.equal(found[1], assignments[m])


def test_without_an_e_step_the_loss_is_said_to_be_infonce_alone(monkeypatch):
    told = []
    monkeypatch.setattr(
        'pauc_mm.models.prototypes.kmeans_prototypes.print_log',
        lambda text, **_: told.append(text),
    )
    hook = SimpleNamespace(e_step=None)
    for hooks, warnings in (([object(), hook], 0), ([object()], 1), ([], 2)):
        filled().check_setup(SimpleNamespace(hooks=hooks), 8)
        assert len(told) == warnings
    assert 'model.prototypes=KMeansPrototypes' in told[0]


def test_no_integer_of_it_is_a_buffer_that_a_hook_would_average():
    from mmpretrain.registry import MODELS

    model = MODELS.build(model_cfg('PCL'))
    before = set(dict(model.named_buffers()))
    model.prototypes = filled()
    assert set(dict(model.named_buffers())) == before
