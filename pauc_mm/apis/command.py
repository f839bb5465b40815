# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``pauc``: the tools by name, for an installed package.

``pauc train CONFIG`` is ``python tools/train.py CONFIG``.
"""

import sys
from collections.abc import Callable
from importlib import import_module

# Name: module and function, what it does. The modules are imported when used.
COMMANDS = {
    'train': ('train:main', 'train a model from a config'),
    'test': ('test:main', 'evaluate a checkpoint as its config says'),
    'plan': ('plan:main', 'say what a training will cost'),
    'diagnose': ('diagnose:main', 'has a checkpoint collapsed, and where?'),
    'prototypes': ('prototypes:main', 'measure the prototypes alone'),
    'knn': ('evaluate:knn', 'classify by the nearest neighbours'),
    'linear': ('evaluate:linear_probe', 'train a linear classifier'),
    'low-shot': ('evaluate:low_shot_svm', 'train SVMs on few labels'),
    'evaluate': ('evaluate_all:main', 'all evaluations of a checkpoint'),
    'classify': ('fine_tune:train_classifier', 'fine-tune a classifier'),
    'detect': ('fine_tune:train_detector', 'fine-tune a detector'),
    'export': ('export:main', 'write an encoder for other programs'),
    'draw-subset': ('draw_subset:main', 'draw labelled images'),
    'check-env': ('..check_env:main', 'what is installed, and what is not'),
}


def main() -> None:
    """Run the command that the first argument names.

    Raises:
        SystemExit: With the list of commands if it names none.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name not in COMMANDS:
        width = max(map(len, COMMANDS))
        lines = [
            f'  {n:<{width}}  {text}' for n, (_, text) in COMMANDS.items()
        ]
        usage = '\n'.join(
            ['usage: pauc COMMAND ...', '', *lines, '', 'pauc COMMAND --help']
        )
        if name in ('-h', '--help'):
            print(usage)
            return
        sys.exit(f'pauc: error: there is no command {name!r}.\n{usage}')
    sys.argv[:2] = [f'pauc {name}']
    from .tool import run_tool

    run_tool(_load(COMMANDS[name][0]))


def _load(place: str) -> Callable[[], object]:
    module, _, function = place.partition(':')
    module = module if module.startswith('.') else f'.{module}'
    return getattr(import_module(module, __package__), function)
