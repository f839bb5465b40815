# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Training images in the test set, under other names."""

import shutil

import pytest

from pauc_mm.transfer import (
    FeatureOptions,
    LowShotOptions,
    ProbeOptions,
    evaluate_knn,
    evaluate_linear_probe,
    evaluate_low_shot,
)

EVALUATIONS = {
    'knn': lambda options: evaluate_knn(options, [1]),
    'linear_probe': lambda options: evaluate_linear_probe(
        options, probe_options=ProbeOptions(epochs=1)
    ),
    'low_shot': lambda options: evaluate_low_shot(
        options, LowShotOptions(shots=('full',), costs=(1.0,))
    ),
}


@pytest.mark.parametrize('name', EVALUATIONS)
@pytest.mark.parametrize('number', [0, 6, 7])
def test_copies_of_training_images(
    checkpoint, folders, tmp_path, name, number
):
    train, test = folders
    shutil.copytree(test, tmp_path / 'test')
    for path in sorted((tmp_path / 'test').rglob('*.png'))[:number]:
        shutil.copy(train / path.parent.name / '3.png', path)
    options = FeatureOptions(
        str(checkpoint),
        train=str(train),
        test=str(tmp_path / 'test'),
        image_size=16,
        cache='',
    )
    if number > 6:
        with pytest.raises(ValueError, match='7 of 12 test images'):
            EVALUATIONS[name](options)
        return
    notes = EVALUATIONS[name](options)['notes']
    assert sum(f'{number} of 12 test' in note for note in notes) == bool(
        number
    )
