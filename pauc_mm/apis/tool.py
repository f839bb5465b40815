# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""End of a program: one line for a user's mistake, a traceback for a fault."""

import dis
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_distributed

# Of mmengine, and those that call classes of torch and numpy from a config.
_BUILDERS = 'build_from_cfg build_dataloader prepare_launch'.split()


def run_tool(main: Callable[[], Any]) -> None:
    """Run the ``main`` of a program and print its errors.

    With ``--debug`` each error has its traceback.

    Raises:
        SystemExit: With one line, for a mistake, see :func:`is_mistake`.
        BaseException: What ``main`` raises, if it is a fault.
    """
    debug = '--debug' in sys.argv
    sys.argv[:] = [part for part in sys.argv if part != '--debug']
    try:
        main()
    except Exception as error:
        if debug or not is_mistake(error):
            raise
        # str() of a KeyError is the repr of its message.
        text = error.args[0] if isinstance(error, KeyError) else error
        sys.exit(f'{Path(sys.argv[0]).name}: error: {text}')
    if is_distributed():
        # The threads of a group must not outlive the interpreter.
        torch.distributed.destroy_process_group()


def is_mistake(error: BaseException) -> bool:
    """Tell a mistake of the user from a fault of the program.

    A mistake is what a check found: an exception with a message that a
    ``raise`` of this package, or of OpenMMLab's, threw. So are errors of the
    operating system, a GPU without memory, and what a class, such as torch's
    DataLoader, says of its arguments in a config. All else, such as an index
    out of range, is a fault.
    """
    if isinstance(error, (OSError, torch.cuda.OutOfMemoryError)):
        return True
    trace = error.__traceback__
    if trace is None or not str(error):
        return False
    built = trace.tb_frame.f_code.co_name in _BUILDERS
    while trace.tb_next is not None:
        trace = trace.tb_next
        built = built or trace.tb_frame.f_code.co_name in _BUILDERS
    module = trace.tb_frame.f_globals.get('__name__', '').partition('.')[0]
    refused = built and isinstance(error, (TypeError, ValueError))
    if refused and module in ('mmengine', 'torch', 'numpy'):
        return True
    code = trace.tb_frame.f_code.co_code
    raised = dis.opname[code[trace.tb_lasti]] == 'RAISE_VARARGS'
    checked_by = ('pauc_mm', 'mmengine', 'mmpretrain', 'mmdet', 'mmcv')
    return raised and module in checked_by
