# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
import torch.nn.functional as F

from pauc_mm.evaluation.functional.koleo import koleo as measured_koleo
from pauc_mm.models import (
    KoLeoLoss,
    PrototypeAlignmentLoss,
    PrototypeCorrelationLoss,
    PrototypeUniformityLoss,
)
from pauc_mm.models.losses import (
    koleo,
    proto_nce,
    prototype_alignment,
    prototype_correlation,
    prototype_uniformity,
)
from pauc_mm.models.losses.functional import (
    nearest_others,
    prototype_logits,
)


def unit(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=dtype)
    return F.normalize(x, dim=-1)


def proto_nce_loop(query, centroids, phi, batch, drawn, first, mask):
    """Eq. 11 of PCL, sample by sample, negative by negative."""
    total, hits = 0.0, 0
    for i in range(len(query)):
        column = first + i
        own = batch[column]

        def similarity(c, i=i):
            v, p = query[i].tolist(), centroids[c].tolist()
            return sum(a * b for a, b in zip(v, p)) / float(phi[c])

        negatives = [
            c
            for j, c in enumerate(batch)
            if j != column and not (mask and c == own)
        ] + list(drawn)
        positive = similarity(own)
        scores = [similarity(c) for c in negatives]
        denominator = math.exp(positive) + sum(map(math.exp, scores))
        total -= math.log(math.exp(positive) / denominator)
        hits += all(positive >= s - 1e-12 for s in scores)
    return total / len(query), hits / len(query)


def test_prototype_logits_are_an_einsum():
    query, centroids = unit(5, 6), unit(12, 6, seed=1).requires_grad_()
    phi = torch.rand(12, dtype=torch.float64) + 0.1
    ids = torch.tensor([[0, 3, 3, 11], [5, 2, 7, 1]])
    mask = torch.tensor([[True, False, True, True], [False, True, True, True]])
    want = torch.einsum('nd,mcd->nmc', query, centroids[ids]) / phi[ids]
    torch.testing.assert_close(
        prototype_logits(query, centroids, phi, ids), want
    )
    torch.testing.assert_close(
        prototype_logits(query, centroids, phi, ids, mask),
        want.masked_fill(~mask, -math.inf),
    )


@pytest.mark.parametrize('mask', [True, False])
@pytest.mark.parametrize('first, count', [(0, 6), (2, 3)])
def test_proto_nce_equals_the_loop(mask, first, count):
    centroids, whole = unit(12, 5), unit(6, 5, seed=1)
    phi = torch.rand(12, dtype=torch.float64) * 0.3 + 0.05
    batch = [3, 7, 3, 0, 3, 7]  # clusters repeat within the batch
    candidates = torch.tensor([1, 7, 2, 11, 5])
    counted = torch.tensor([True, False, True, True, False])
    loss, accuracy = proto_nce(
        whole[first : first + count],
        centroids,
        phi,
        torch.tensor([batch]),
        (candidates[None], counted[None]),
        rank_offset=first,
        mask_same_cluster=mask,
    )
    want_loss, want_accuracy = proto_nce_loop(
        whole[first : first + count],
        centroids,
        phi,
        batch,
        [1, 2, 11],
        first,
        mask,
    )
    assert loss.item() == pytest.approx(want_loss, abs=1e-6)
    assert accuracy.item() == pytest.approx(want_accuracy)


def test_masking_matters_exactly_where_clusters_repeat():
    centroids, query = unit(4, 3), unit(3, 3, seed=2)
    phi = torch.full((4,), 0.1, dtype=torch.float64)
    none = torch.zeros(1, 0, dtype=torch.int64), torch.zeros(1, 0).bool()
    for batch, same in (([0, 1, 2], True), ([0, 1, 0], False)):
        losses = [
            proto_nce(
                query,
                centroids,
                phi,
                torch.tensor([batch]),
                none,
                mask_same_cluster=mask,
            )[0]
            for mask in (True, False)
        ]
        assert (losses[0] == losses[1]).item() is same


def test_one_cluster_for_the_whole_batch_gives_zero_loss():
    # With the own prototype's copies masked no negative is left.
    query, centroids = unit(4, 3), unit(1, 3, seed=1)
    loss, accuracy = proto_nce(
        query,
        centroids,
        torch.tensor([0.1], dtype=torch.float64),
        torch.zeros(1, 4, dtype=torch.int64),
        (torch.tensor([[0]]), torch.tensor([[False]])),
    )
    assert loss.item() == 0 and accuracy.item() == 1


def test_a_larger_phi_pulls_less_while_no_prototype_wins():
    # Orthonormal prototypes make the coordinates of the gradient the pull
    # of each: (1 - p) / phi towards the own one. A query orthogonal to all
    # of them has p = 1/5 whatever phi is, so the pull falls as 1 / phi.
    centroids = torch.eye(5, 6, dtype=torch.float64)
    for own_phi in (0.1, 0.2, 0.4):
        query = torch.eye(6, dtype=torch.float64)[5:].requires_grad_()
        phi = torch.full((5,), 0.2, dtype=torch.float64)
        phi[0] = own_phi
        loss, _ = proto_nce(
            query,
            centroids,
            phi,
            torch.tensor([[0]]),
            (torch.arange(1, 5)[None], torch.ones(1, 4).bool()),
        )
        loss.backward()
        assert loss.item() == pytest.approx(math.log(5))
        assert query.grad[0, 0].item() == pytest.approx(-0.8 / own_phi)
        assert query.grad[0, 1].item() == pytest.approx(0.2 / 0.2)


def test_a_larger_phi_pulls_more_while_the_own_prototype_wins():
    # The figures of docs/faq.md: the own product is 0.6, those with 15 other
    # prototypes are 0, so p = 1 / (1 + 15 exp(-0.6 / phi)).
    centroids = torch.eye(17, dtype=torch.float64)[:16]
    pulls = []
    for phi in (0.05, 0.1, 0.2, 0.4):
        query = torch.zeros(1, 17, dtype=torch.float64)
        query[0, 0], query[0, 16] = 0.6, 0.8
        query.requires_grad_()
        loss, _ = proto_nce(
            query,
            centroids,
            torch.full((16,), phi, dtype=torch.float64),
            torch.tensor([[0]]),
            (torch.arange(1, 16)[None], torch.ones(1, 15).bool()),
        )
        loss.backward()
        pulls.append(-query.grad[0, 0].item())
        share = 1 / (1 + 15 * math.exp(-0.6 / phi))
        assert pulls[-1] == pytest.approx((1 - share) / phi)
    assert pulls == pytest.approx([0.00184, 0.357, 2.14, 1.92], rel=0.01)


def test_proto_nce_is_permutation_invariant_and_differentiable():
    centroids, query = unit(8, 4), unit(5, 4, seed=1).requires_grad_()
    phi = torch.rand(8, dtype=torch.float64) + 0.1
    batch = torch.tensor([[0, 4, 4, 2, 7]])
    negatives, counted = torch.tensor([[1, 3, 5]]), torch.ones(1, 3).bool()
    drawn = negatives, counted
    loss, _ = proto_nce(query, centroids, phi, batch, drawn)
    order = torch.randperm(8)
    index = torch.argsort(order)
    again, _ = proto_nce(
        query,
        centroids[order],
        phi[order],
        index[batch],
        (index[negatives], counted),
    )
    torch.testing.assert_close(loss, again)
    assert torch.autograd.gradcheck(
        lambda q: proto_nce(q, centroids, phi, batch, drawn)[0], query
    )


def test_proto_nce_of_several_clusterings_is_the_mean_over_them():
    sizes, offsets = (12, 7), (0, 12)
    sets = [unit(k, 5, seed=k) for k in sizes]
    phi = [torch.rand(k, dtype=torch.float64) * 0.3 + 0.05 for k in sizes]
    query = unit(4, 5, seed=1)
    batch = [[3, 7, 3, 0], [6, 6, 6, 1]]
    drawn = [[1, 2, 11], [0, 5]]  # the second set has fewer to draw
    candidates = torch.tensor([[1, 2, 11], [12, 17, 12]])
    counted = torch.tensor([[True, True, True], [True, True, False]])
    loss, accuracy = proto_nce(
        query,
        torch.cat(sets),
        torch.cat(phi),
        torch.tensor(batch) + torch.tensor(offsets)[:, None],
        (candidates, counted),
    )
    want = [
        proto_nce_loop(query, sets[m], phi[m], batch[m], drawn[m], 0, True)
        for m in range(2)
    ]
    assert loss.item() == pytest.approx(sum(w[0] for w in want) / 2, abs=1e-9)
    assert accuracy.tolist() == pytest.approx([w[1] for w in want])


@pytest.mark.parametrize('power', [1.0, 2.0, 3.0])
def test_alignment_equals_a_loop(power):
    p, q = unit(7, 4), unit(7, 4, seed=1)
    want = sum((a - b).norm().item() ** power for a, b in zip(p, q)) / 7
    got = prototype_alignment(p, q, power)
    assert got.item() == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize('power', [1.0, 2.0])
def test_alignment_of_identical_prototypes(power):
    p = unit(3, 4).requires_grad_()
    loss = prototype_alignment(p, p.detach().clone(), power)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert torch.isfinite(p.grad).all()


@pytest.mark.parametrize('t', [0.5, 2.0])
def test_uniformity_equals_a_loop(t):
    p = unit(6, 4)
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    want = sum(
        math.exp(-t * (p[a] - p[b]).pow(2).sum().item()) for a, b in pairs
    ) / len(pairs)
    assert prototype_uniformity(p, t).item() == pytest.approx(want, rel=1e-9)


def test_uniformity_of_opposite_and_of_equal_prototypes():
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert prototype_uniformity(opposite).item() == pytest.approx(
        math.exp(-8), rel=1e-5
    )
    assert prototype_uniformity(torch.ones(3, 2)).item() == 1


@pytest.mark.parametrize('temperature', [0.1, 1.0])
def test_correlation_is_minus_the_mean_kl(temperature):
    p = unit(5, 6)
    distributions = torch.softmax(p / temperature, dim=1)
    total, count = 0.0, 0
    for a in range(5):
        for b in range(5):
            if a != b:
                # F.kl_div(log q, p) is KL(p || q)
                total -= F.kl_div(
                    distributions[b].log(), distributions[a], reduction='sum'
                ).item()
                count += 1
    got = prototype_correlation(p, temperature)
    assert got.item() == pytest.approx(total / count, rel=1e-9)
    assert got.item() < 0


def test_correlation_is_zero_for_equal_prototypes_and_never_nan():
    # The equation as printed takes logarithms of negative coordinates.
    equal = unit(1, 8).expand(3, 8)
    assert prototype_correlation(equal).item() == pytest.approx(0, abs=1e-12)
    p = unit(50, 128)
    assert (p < 0).any()
    assert torch.isfinite(prototype_correlation(p))


@pytest.mark.parametrize(
    'term',
    [
        lambda p, mask: prototype_alignment(p, p.flip(-2), 1.0, mask),
        lambda p, mask: prototype_uniformity(p, 2.0, mask),
        lambda p, mask: prototype_correlation(p, 0.1, mask),
    ],
)
def test_a_masked_row_is_as_good_as_absent(term):
    p = unit(3, 6, 4)  # three clusterings
    keep = [0, 2, 3, 5]  # symmetric, for the flip
    mask = torch.zeros(3, 6, dtype=torch.bool)
    mask[:, keep] = True
    assert term(p, mask).shape == (3,)
    torch.testing.assert_close(term(p, mask), term(p[:, keep], None))
    mask[2, [0, 3]] = False  # another number of rows in one of them
    for m in range(3):
        torch.testing.assert_close(term(p, mask)[m], term(p[m], mask[m]))


def test_a_single_prototype_has_no_pairs_and_no_gradient():
    p = unit(5, 3).requires_grad_()
    mask = torch.tensor([True, False, False, False, False])
    total = prototype_uniformity(p, 2.0, mask) + prototype_correlation(
        p, 0.1, mask
    )
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(p.grad, torch.zeros_like(p))


def test_descending_uniformity_and_correlation_drives_prototypes_apart():
    for term in (prototype_uniformity, prototype_correlation):
        angles = torch.tensor([0.0, 0.3, 0.6], requires_grad=True)
        optimizer = torch.optim.SGD([angles], lr=0.02)

        def points(a=angles):
            return torch.stack([a.cos(), a.sin()], dim=1)

        before = torch.pdist(points()).mean().item()
        for _ in range(50):
            optimizer.zero_grad()
            term(points()).backward()
            optimizer.step()
        assert torch.pdist(points()).mean().item() > before


@pytest.mark.parametrize(
    'loss, function, arguments, option',
    [
        (PrototypeAlignmentLoss, prototype_alignment, 2, dict(power=3)),
        (PrototypeUniformityLoss, prototype_uniformity, 1, dict(t=3)),
        (
            PrototypeCorrelationLoss,
            prototype_correlation,
            1,
            dict(temperature=0.3),
        ),
    ],
)
def test_modules_weight_their_function_and_are_registered(
    loss, function, arguments, option
):
    from mmpretrain.registry import MODELS

    default = 0.1 if loss is PrototypeCorrelationLoss else 1
    assert loss().loss_weight == default
    # two prototypes are the fewest that have a pair
    inputs = [unit(2, 3, seed=i).float() for i in range(arguments)]
    one = loss(loss_weight=1.0)(*inputs)
    torch.testing.assert_close(one, function(*inputs))
    torch.testing.assert_close(
        loss(1.0, **option)(*inputs), function(*inputs, **option)
    )
    for weight in (2.5, 0):  # 0 is an ablation
        built = MODELS.build(dict(type=loss.__name__, loss_weight=weight))
        torch.testing.assert_close(built(*inputs), weight * one)
    # half precision comes in under AMP; the terms stay in float32
    half = [x.bfloat16() for x in inputs]
    assert loss()(*half).dtype == torch.float32
    exact = loss()(*inputs)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(loss()(*inputs), exact)
        assert loss()(*inputs).dtype == torch.float32


@pytest.mark.parametrize(
    'build, key',
    [
        (lambda: PrototypeAlignmentLoss(power=0), 'align_loss.power'),
        (lambda: PrototypeAlignmentLoss(-1.0), 'align_loss.loss_weight'),
        (lambda: PrototypeUniformityLoss(t=-2), 'uniform_loss.t must'),
        (lambda: PrototypeUniformityLoss('1'), 'uniform_loss.loss_weight'),
        (
            lambda: PrototypeCorrelationLoss(temperature=0),
            'corr_loss.temperature',
        ),
        (
            lambda: PrototypeCorrelationLoss(float('nan')),
            'corr_loss.loss_weight',
        ),
    ],
)
def test_bad_values_name_the_key(build, key):
    with pytest.raises(ValueError, match=key):
        build()


def test_losses_refuse_input_without_pairs():
    with pytest.raises(ValueError, match=r'P >= 2, got \(1, 3\)'):
        PrototypeUniformityLoss()(unit(1, 3))
    with pytest.raises(ValueError, match='P >= 2'):
        PrototypeCorrelationLoss()(unit(1, 3))
    with pytest.raises(ValueError, match='come in pairs'):
        PrototypeAlignmentLoss()(unit(2, 3), unit(3, 3))
    with pytest.raises(ValueError, match=r'come in pairs.* \(0, 3\)'):
        PrototypeAlignmentLoss()(unit(0, 3), unit(0, 3))
    with pytest.raises(ValueError, match=r'P >= 2, got \(3,\)'):
        PrototypeUniformityLoss()(unit(3))


# ---- KoLeo -----------------------------------------------------------------
def slow_koleo(vectors):
    """-1/K sum_k log min_j ||c_k - c_j||, a pair at a time."""
    rows = vectors.tolist()
    nearest = [
        min(math.dist(a, b) for j, b in enumerate(rows) if j != i)
        for i, a in enumerate(rows)
    ]
    return -sum(map(math.log, nearest)) / len(rows)


def test_koleo_equals_the_loop():
    vectors = unit(30, 4)
    assert koleo(vectors).item() == pytest.approx(slow_koleo(vectors), 1e-6)
    # the loss takes weights of any length
    loss = KoLeoLoss(loss_weight=0.5)(7 * vectors)
    assert loss.item() == pytest.approx(slow_koleo(vectors) / 2, rel=1e-5)
    assert torch.equal(nearest_others(vectors, 7), nearest_others(vectors))
    # and is the measure, with a gradient
    assert koleo(vectors).item() == pytest.approx(measured_koleo(vectors))


def test_koleo_in_closed_form():
    right_angles = torch.eye(5, dtype=torch.float64)
    assert koleo(right_angles).item() == pytest.approx(-math.log(2) / 2)
    poles = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert koleo(poles).item() == pytest.approx(-math.log(2))
    copies = torch.ones(3, 2) / math.sqrt(2)  # DINOv2's eps, twice
    value = -math.log(1e-8 * (1 + math.sqrt(2)))
    assert koleo(copies).item() == pytest.approx(value, rel=1e-3)


def test_koleo_drives_the_nearest_apart():
    angles = torch.tensor([0.0, 0.1, 2.0], requires_grad=True)
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    koleo(vectors).backward()
    # Descent moves the first two apart, the third away from the second.
    assert angles.grad[0] > 0 > angles.grad[1]
    assert angles.grad[2] < 0


@pytest.mark.parametrize('weight', [-1, math.nan])
def test_koleo_refuses_a_weight(weight):
    with pytest.raises(ValueError, match='model.head.koleo_loss.loss_weight'):
        KoLeoLoss(loss_weight=weight)


def test_koleo_needs_two():
    with pytest.raises(ValueError, match='P >= 2'):
        KoLeoLoss()(torch.ones(1, 3))
