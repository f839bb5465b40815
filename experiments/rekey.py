# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Give published results the digests of their runs in this tree.

A published result is keyed by a digest of its merged config. Moving or
renaming parts of the configs changes the digest but not the result. This
program loads the config of each published run from an old checkout and from
this tree, shows that the two are equal up to the renames declared in
:data:`RENAMES`, and only then writes the new digest. A result whose config
differs otherwise is named, and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from experiments.comparison import SUITES, Suite
from experiments.comparison.runs import comparison_run
from experiments.runner import RunResult
from experiments.runner.result import FORMAT
from pauc_mm.utils.files import write_json

_DOCS = Path(__file__).resolve().parents[1] / 'docs'
# Executed with the old checkout as PYTHONPATH: gets stored results, prints the
# content of each digest. Results of format 1 have a 'cell' in place of a run.
_READ_OLD = """
import json, sys
import pauc_mm
contents = []
for result in json.load(sys.stdin):
    if 'run' in result:
        from experiments.runner import ConfigRun
        run = ConfigRun(**result['run'])
        digest, content = run.digest(), run.content()
    else:
        from pauc_mm.matrix import cell_config as old
        from pauc_mm.matrix.cell import Cell
        run = Cell.from_json(json.dumps(result['cell']))
        config = old.load_cell_config(run).to_dict()
        config = {k: v for k, v in config.items() if k not in old._LEFT_OUT}
        digest, content = old.config_digest(run), dict(
            config=old._pruned(config),
            measure=run.measure,
            revision=old._REVISION,
        )
    if digest != result['digest']:
        sys.exit(f'{run}: its digest is another one in the old checkout too')
    contents.append(content)
json.dump(contents, sys.stdout)
"""


@dataclass(frozen=True)
class Rename:
    """A change of a config that leaves its result as it is.

    Attributes:
        reason (str): What was renamed, and why results stay the same.
        apply (callable): Changes the content of a digest in place; does
            nothing where the old form does not occur.
    """

    reason: str
    apply: Callable[[dict], None]


def _measure(content: dict) -> None:
    if content['measure'] == 'pauc_mm.comparison.measure:measure':
        content['measure'] = 'experiments.comparison.measure:measure'


def _mixture(content: dict) -> None:
    model = content['config']['model']
    online = model.get('prototypes') == 'online_gmm'
    if online or model.pop('decouple', False):
        options = model.pop('mixture', {})
        model['prototypes'] = dict(type='MixturePrototypes', **options)


RENAMES = (
    Rename(
        'The module of the measure moved out of the package; its code is the '
        'same.',
        _measure,
    ),
    Rename(
        "prototypes='online_gmm' of PCL and PAUC, and decouple=True of CARP, "
        'with mixture=dict(...) became one registered slot, '
        "prototypes=dict(type='MixturePrototypes', ...) of equal options.",
        _mixture,
    ),
)


def differences(old: Any, new: Any, path: str = '') -> Iterator[str]:
    """Yield the differences of two plain values, by dotted key."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            where = f'{path}.{key}' if path else key
            if key not in new:
                yield f'{where}: {old[key]!r} is gone'
            elif key not in old:
                yield f'{where}: {new[key]!r} is new'
            else:
                yield from differences(old[key], new[key], where)
    elif (
        isinstance(old, list)
        and isinstance(new, list)
        and len(old) == len(new)
    ):
        for i, pair in enumerate(zip(old, new)):
            yield from differences(*pair, f'{path}.{i}')
    elif old != new or type(old) is not type(new):
        yield f'{path}: {old!r} is now {new!r}'


def rekey(suite: Suite, stored: list[dict], old: Path) -> list[RunResult]:
    """Return the stored results of a suite with the digests of this tree.

    Args:
        suite (Suite): Suite that they belong to.
        stored (list[dict]): Results of the old checkout.
        old (Path): The checkout.

    Raises:
        ValueError: Naming each config that differs, and where.
        RuntimeError: If the old checkout cannot read a config.
    """
    done = subprocess.run(
        [sys.executable, '-c', _READ_OLD],
        input=json.dumps(stored),
        env={**os.environ, 'PYTHONPATH': str(old)},
        cwd=old,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f'{old}: {done.stderr.strip().splitlines()[-1]}')
    results, problems = [], []
    for values, content in zip(stored, json.loads(done.stdout)):
        old_run = values.pop('run', None) or values.pop('cell')
        setting = old_run.get('setting') or old_run['place']
        values.setdefault('metrics', values.pop('figures', None))
        run = comparison_run(
            suite,
            setting['data'],
            setting['method'],
            setting['seed'],
            setting['rate'],
            old_run['epochs'],
        )
        for rename in RENAMES:
            rename.apply(content)
        new = json.loads(json.dumps(run.content()))
        changes = list(differences(content, new))
        if run.name != old_run['name']:
            changes.insert(0, f'its name is now {run.name}')
        problems += [f'{old_run["name"]}: {change}' for change in changes]
        values.update(digest=run.digest(), run=json.loads(run.to_json())[1])
        values['format'] = FORMAT
        results.append(RunResult.from_dict(values))
    if problems:
        raise ValueError('\n'.join(problems))
    return results


def main(argv: list[str] | None = None) -> None:
    """Rekey the results of all suites that the old checkout has."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='declared renames:\n'
        + '\n'.join(f'  - {rename.reason}' for rename in RENAMES)
        + '\n\nexample:\n  git worktree add ../old COMMIT\n'
        '  python -m experiments.rekey ../old\n'
        '  python -m experiments.compare --suite small --tune --report-only '
        '--known docs/results.json',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'old', type=Path, help='checkout with the published results'
    )
    parser.add_argument(
        '--docs',
        type=Path,
        default=_DOCS,
        metavar='DIR',
        help='where to write (default: docs/ of this checkout)',
    )
    args = parser.parse_args(argv)
    files = {}
    for suite in SUITES.values():
        name = Path(suite.report).with_suffix('.json').name
        source = args.old / 'docs' / name
        if not source.is_file():
            continue
        stored = json.loads(source.read_text(encoding='utf-8'))
        try:
            files[name] = rekey(suite, stored, args.old.resolve())
        except (ValueError, RuntimeError) as error:
            sys.exit(f'{name}: nothing was written.\n{error}')
    for name, results in files.items():
        write_json(args.docs / name, [r.to_dict() for r in results])
        print(f'{args.docs / name}: {len(results)} results')


if __name__ == '__main__':
    main()
