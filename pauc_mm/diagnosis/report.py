# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A report: one HTML file that needs nothing else, and its figures."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path

from .measures import headline
from .verdict import CRITERIA, judge

TEMPLATES = Path(__file__).parent / 'templates'


def make_report(
    name: str,
    encoder,
    images: str,
    measures: dict,
    pictures: list,
    settings: dict,
) -> dict:
    """Bring everything together.

    Args:
        name (str): Of the checkpoint.
        encoder (Encoder): For its layout, epoch and notes.
        images (str): Description of the images.
        measures (dict): See :func:`pauc_mm.diagnosis.measure`.
        pictures (list[Picture]): See :func:`pauc_mm.diagnosis.draw_all`.
        settings (dict): Options that were used; plain values.

    Returns:
        dict: What ``report.json`` holds.
    """
    import torch

    from pauc_mm.version import __version__

    figures = headline(measures)
    return dict(
        checkpoint=name,
        layout=encoder.layout,
        epoch=encoder.epoch,
        notes=list(encoder.notes),
        images=images,
        settings=settings,
        versions=dict(pauc_mm=__version__, torch=torch.__version__),
        headline=figures,
        verdict=dict(vars(judge(figures))),
        pictures=[
            dict(file=p.path.name, title=p.title, caption=p.caption)
            for p in pictures
        ],
        measures=measures,
    )


def write_report(report: dict, folder: Path) -> Path:
    """Write ``report.json`` and ``report.html``.

    Args:
        report (dict): From :func:`make_report`.
        folder (Path): With the pictures; the files are written there.

    Returns:
        Path: The HTML file.
    """
    page = render(
        'report.html',
        report=report,
        rows=criteria_rows([report['headline']]),
        pictures=inline_pictures(report['pictures'], folder),
    )
    return write_pair(folder, 'report', report, page)


def write_pair(folder: Path, name: str, content: dict, page: str) -> Path:
    """Write NAME.json and NAME.html, whole or not at all.

    Raises:
        ValueError: If a figure is not finite, which JSON cannot hold.
    """
    text = json.dumps(content, indent=1, allow_nan=False)
    for suffix, body in (('.json', text), ('.html', page)):
        partial = folder / f'{name}{suffix}.part'
        partial.write_text(body, encoding='utf-8')
        partial.replace(folder / f'{name}{suffix}')
    return folder / f'{name}.html'


def render(template: str, **values) -> str:
    """Fill in a template of this package."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['figure'] = format_figure
    return environment.get_template(template).render(**values)


def criteria_rows(headlines: list[dict]) -> list[dict]:
    """A row of the table for each measure that any checkpoint has.

    Args:
        headlines (list[dict]): Figures of each checkpoint.

    Returns:
        list[dict]: ``criterion`` and ``cells``, a (value, level) or None
        for each checkpoint.
    """
    rows = []
    for criterion in CRITERIA:
        cells = [
            (figures[criterion.key], criterion.level(figures[criterion.key]))
            if criterion.key in figures
            else None
            for figures in headlines
        ]
        if any(cells):
            rows.append(dict(criterion=criterion, cells=cells))
    return rows


def inline_pictures(pictures: list[dict], folder: Path) -> list[dict]:
    """Add each picture's bytes as a data URL."""
    found = []
    for picture in pictures:
        data = base64.b64encode((folder / picture['file']).read_bytes())
        url = f'data:image/png;base64,{data.decode()}'
        found.append(dict(picture, url=url))
    return found


def format_figure(value) -> str:
    """Three significant digits, without an exponent where it can be."""
    if value is None:
        return '–'
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or value == 0:
        return f'{int(value):,}'
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f'{value:.{min(digits, 4)}f}'
