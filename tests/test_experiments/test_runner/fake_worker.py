# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""In place of a worker: no training, a result at once. Imports no torch.

The option ``act`` of the cell says what it does; ``digest`` is what it stores.
"""

import json
import os
import sys
import time
from pathlib import Path

folder, cell = Path(sys.argv[1]), json.loads(sys.argv[2])
act = cell['options'].get('fake.act')
with open(folder.parent / 'order.txt', 'a') as file:
    file.write(f'{cell["name"]} {os.environ["OMP_NUM_THREADS"]}\n')
print('begin', flush=True)
if act == 'fail':
    raise SystemExit('ValueError: it was to fail')
if act == 'nothing':
    raise SystemExit(0)
if act == 'sleep':
    (folder / 'pid').write_text(str(os.getpid()))
    time.sleep(60)
result = dict(
    digest=cell['place']['digest'],
    cell=cell,
    figures={'knn/k20': 0.5},
    seconds=2.0,
)
(folder / 'result.json').write_text(json.dumps(result))
