# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Prototypical self-supervised learning for OpenMMLab.

Importing the package registers its models, hooks, metrics, datasets and loops
in mmpretrain's registries and makes ``pauc_mm::`` config paths resolve.
"""

import sys
import warnings

from ._requirements import check_imports
from .version import __version__

# `python -m pauc_mm.check_env` imports this file first, while sys.argv[0] is
# '-m', and must run where the dependencies are missing or broken.
if sys.argv[:1] != ['-m'] or 'pauc_mm.check_env' not in sys.orig_argv:
    check_imports()

    with warnings.catch_warnings():
        # mmcv-lite says so at every start, and nothing here needs the op.
        warnings.filterwarnings(
            'ignore', 'Fail to import ``MultiScaleDeformableAttention``'
        )
        from . import clustering, compat, datasets, engine, evaluation, models

    compat.install()

__all__ = ['__version__']
