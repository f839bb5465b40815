"""Parts beside the training step, on a GPU that is not there."""

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch.utils._pytree import tree_leaves

from experiments.runner.prototype_usage import prototype_usage
from pauc_mm.clustering import (
    OnlineGaussianMixture,
    ShardedKMeans,
    batch_kmeans,
    concentration,
)
from pauc_mm.evaluation import functional
from pauc_mm.evaluation.collapse import measure_collapse
from pauc_mm.models.embed import embed_batch
from pauc_mm.models.prototypes import PrototypeSet
from pauc_mm.utils import Shard
from tests.helpers import assert_same, images_batch, model_cfg

torch.manual_seed(0)
ROWS = F.normalize(torch.randn(64, 8), dim=1)
OTHER = F.normalize(ROWS + 0.3 * torch.randn(64, 8), dim=1)
LABELS = torch.arange(64) % 4


def mixture(rows):
    made = OnlineGaussianMixture(4, 8, init='random', init_samples=32).to(
        rows.device
    )
    for part in rows.split(16):
        made.update(part)
    return [*made.state_dict().values(), made.assign(rows)]


def kmeans(rows):
    result = ShardedKMeans(niter=3, nredo=2).fit(Shard.of(rows), 5, 0)
    return [torch.from_numpy(result.assignments), result.objective]


FUNCTIONS = {
    'adjusted_mutual_information': lambda x, y: (
        functional.adjusted_mutual_information(x.argmax(1), y)
    ),
    'alignment': lambda x, y: functional.alignment(x, OTHER.to(x.device)),
    'batch_kmeans': lambda x, y: batch_kmeans(
        x, 4, 3, torch.Generator(x.device).manual_seed(0)
    ),
    'cluster_entropy': lambda x, y: functional.cluster_entropy(y.bincount()),
    'concentration': lambda x, y: concentration(x[:, 0].abs(), y, 4, 0.1),
    'effective_rank': lambda x, y: functional.effective_rank(x),
    'feature_label_information': functional.feature_label_information,
    'intra_group_variance': functional.intra_group_variance,
    'knn': lambda x, y: functional.knn_predict(
        x, x, y, 4, 5, exclude_self=True
    ),
    'mixture': lambda x, y: mixture(x),
    'nemd, exact': lambda x, y: functional.nemd(x, y, solver='emd').value,
    'nemd, sinkhorn': lambda x, y: (
        functional.nemd(x, y, solver='sinkhorn', reg=0.1).value
    ),
    'prototype_usage': lambda x, y: prototype_usage(x[:9], x, (0.1,)),
    'sharded k-means': lambda x, y: kmeans(x),
    'singular_values': lambda x, y: functional.singular_values(x),
    'uniformity': lambda x, y: functional.uniformity(x),
    'unique_prototypes': lambda x, y: functional.unique_prototypes(
        x, (0.1, 0.5)
    ),
    'void_fraction': lambda x, y: functional.void_fraction(x[:, :2], 6),
}


def numbers(result):
    """Return the numbers of any result, wherever they are."""
    leaves = [x for x in tree_leaves(result) if not isinstance(x, str)]
    return [torch.as_tensor(x).detach().cpu().double() for x in leaves]


@pytest.mark.parametrize('name', FUNCTIONS)
def test_gives_what_a_cpu_gives(name, computing_gpu):
    function = FUNCTIONS[name]
    want = numbers(function(ROWS, LABELS))
    got = numbers(function(ROWS.to('cuda'), LABELS.to('cuda')))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)


def test_embedding_and_its_collapse(computing_gpu):
    results = []
    model = MODELS.build(model_cfg('PAUC')).eval()
    sets = [PrototypeSet(OTHER[:10], torch.arange(6) % 10)]
    for device in ('cpu', 'cuda'):
        model.to(device)
        features, embeddings, _ = embed_batch(model, images_batch(views=1))
        assert embeddings.device.type == device
        made = [PrototypeSet(*(x.to(device) for x in each)) for each in sets]
        results.append(
            measure_collapse(
                features.cpu(), embeddings.cpu(), made, LABELS[:6].numpy()
            )
        )
    assert_same(*results)
