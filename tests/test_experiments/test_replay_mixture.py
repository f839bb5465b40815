# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Mixtures that learn from a recorded stream of embeddings."""

import torch
import torch.nn.functional as F

from experiments import replay_mixture
from pauc_mm.clustering import OnlineGaussianMixture


def test_variants_learn_from_the_same_stream(tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(7, 40, 4, generator=generator)
    *stream, images = F.normalize(drawn, dim=2)
    recorded = dict(stream=torch.stack(stream), images=images)
    torch.save(recorded, tmp_path / 'stream_None_3.pt')
    variants = [(dict(init='directions', eta=0.5), 0), (dict(), 2)]
    monkeypatch.setattr(replay_mixture, 'VARIANTS', variants)
    options = ['--out', str(tmp_path), '--seed', '3', '--components', '6']
    replay_mixture.main(options)
    _, _, *rows = (tmp_path / 'replay.md').read_text().splitlines()
    for row, (options, start) in zip(rows, variants):
        mixture = OnlineGaussianMixture(6, 4, seed=3, **options)
        for batch in stream[start:]:
            mixture.update(batch)
        nearest = (images @ F.normalize(mixture.means, dim=1).T).argmax(dim=1)
        cells = [cell.strip() for cell in row.split('|')[1:-1]]
        assert cells[1:3] == [str(start), str(len(set(nearest.tolist())))]
