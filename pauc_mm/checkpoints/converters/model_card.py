# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Model card of an exported encoder."""

import json
import os
from pathlib import Path
from typing import Any

from pauc_mm.checkpoints.encoder import Encoder

_HEAD = """---
library_name: timm
pipeline_tag: image-feature-extraction
tags:
- timm
- image-feature-extraction
- self-supervised-learning
---
# {title}

An image encoder without a classifier. It gives one vector of features for each
image.

```python
import timm

{usage}
transform = timm.data.create_transform(
    **timm.data.resolve_model_data_config(model))
features = model.eval()(transform(image).unsqueeze(0))
```

| | |
| --- | --- |
"""


def model_card(
    title: str,
    meta: dict,
    encoder: Encoder,
    usage: str,
    measures: str | os.PathLike | None,
) -> str:
    """Write a card that says data, method, epochs and measures.

    They are read from the encoder's config and from ``measures``, the JSON of
    a diagnosis or an evaluation; ``usage`` is code that loads the model.

    Raises:
        OSError: If there is no such file.
        ValueError: If it has no values, or those of the other encoder.
    """
    cfg: Any = encoder.config or {}
    loader = cfg.get('train_dataloader') or {}
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    rows = {
        'architecture': meta['architecture'],
        'method': encoder.layout,
        'encoder': 'momentum' if meta['momentum_encoder'] else 'online',
        'data': _data(loader.get('dataset') or {}),
        'epochs': encoder.epoch,
        'batch size of a process': loader.get('batch_size'),
        'optimizer': optimizer.get('type'),
        'learning rate': optimizer.get('lr'),
        'mean of R, G, B': encoder.preprocess['mean'],
        'std of R, G, B': encoder.preprocess['std'],
        'from': f'{meta["source"]}, SHA-256 {meta["source_sha256"]}',
        'by': f'pauc_mm {meta["pauc_mm_version"]}, {meta["date"]}',
    }
    text = _HEAD.format(title=title, usage=usage) + _table(rows)
    text += '\n## Measures\n\n'
    if measures is None:
        text += 'None were given.\n'
    else:
        found, checkpoint = _read(measures, meta['momentum_encoder'])
        text += f'Of {checkpoint}.\n\n| | |\n| --- | --- |\n{_table(found)}'
    return '\n- '.join([text, *meta.get('notes', ())]).rstrip() + '\n'


def _table(rows: dict) -> str:
    return ''.join(
        f'| {name} | {"unknown" if value is None else value} |\n'
        for name, value in rows.items()
    )


def _data(dataset: dict) -> str | None:
    """Name a data set, without the folders of the machine."""
    while isinstance(dataset.get('dataset'), dict):  # a wrapper
        dataset = dataset['dataset']
    kind, split = dataset.get('type'), dataset.get('split')
    name = getattr(kind, '__name__', kind)
    return f'{name}, split {split}' if split else name


def _read(path: str | os.PathLike, momentum: bool) -> tuple[dict, str]:
    """Read the values of a report, and the name of its checkpoint."""
    try:
        content = json.loads(Path(path).read_text('utf-8'))
    except ValueError:
        content = None
    content = content if isinstance(content, dict) else {}
    options = content.get('settings') or content.get('options') or {}
    if bool(options.get('momentum', momentum)) != momentum:
        encoders = ('online', 'momentum')
        raise ValueError(
            f"--measures '{path}' is of the {encoders[not momentum]} encoder, "
            f'and the {encoders[momentum]} one is exported.'
        )
    if 'tasks' in content:  # of evaluate_all.py
        found = {
            f'{row["row"]} (%)': row['ours']['mean']
            for row in content['rows']
            if row['ours']
        }
    elif 'accuracies' in content:  # of knn.py
        found = {
            f'accuracy of kNN, k={k}': value
            for k, value in content['accuracies'].items()
        }
    elif 'runs' in content:  # of linear_probe.py
        found = {'accuracy of the linear probe': content['mean']}
    else:  # of diagnose.py
        found = content.get('headline') or {}
    values = {name: f'{value:.4g}' for name, value in found.items()}
    if not values:
        raise ValueError(
            f"--measures '{path}' has no values: name report.json of "
            'diagnose.py, evaluations.json, or the JSON of knn.py or '
            'linear_probe.py.'
        )
    return values, Path(str(content.get('checkpoint', 'unknown'))).name
