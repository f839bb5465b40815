# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Stand-in for the worker: no training, a result at once. Imports no torch.

The option ``fake.act`` of the run says what it does.
"""

import json
import os
import sys
import time
from pathlib import Path

folder, digest = Path(sys.argv[1]), sys.argv[3]
run = json.loads(sys.argv[2])[1]
act = run['options'].get('fake.act')
with open(folder.parent / 'order.txt', 'a') as file:
    file.write(f'{run["name"]} {os.environ["OMP_NUM_THREADS"]}\n')
print('begin', flush=True)
if act == 'fail':
    raise SystemExit('ValueError: it was to fail')
if act == 'nothing':
    raise SystemExit(0)
if act == 'sleep':
    (folder / 'pid').write_text(str(os.getpid()))
    time.sleep(3600)
result = dict(
    format=2,
    digest=digest,
    run=run,
    metrics={'knn/k20': 0.5},
    versions={},
    hardware='',
    threads=1,
    date='',
    seconds=2.0,
)
(folder / 'result.json').write_text(json.dumps(result))
