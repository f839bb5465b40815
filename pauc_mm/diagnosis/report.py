# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write a report: one self-contained HTML file, and its values as JSON."""

import base64
import json
import math
from pathlib import Path

import jinja2

from pauc_mm.utils.files import write_text

from .criteria import CRITERIA

TEMPLATES = Path(__file__).parent / 'templates'


def write_report(report: dict, folder: Path) -> Path:
    """Write report.json and report.html to the folder of the pictures."""
    page = render(
        'report.html',
        report=report,
        rows=criteria_rows([report['headline']]),
        pictures=inline_pictures(report['pictures'], folder),
    )
    return write_pair(folder, 'report', report, page)


def write_pair(folder: Path, name: str, content: dict, page: str) -> Path:
    """Write NAME.json and NAME.html, and return the path of the latter.

    Raises:
        ValueError: If a value is not finite, which JSON cannot hold.
    """
    text = json.dumps(content, indent=1, allow_nan=False)
    write_text(folder / f'{name}.json', text)
    write_text(folder / f'{name}.html', page)
    return folder / f'{name}.html'


def render(template: str, **values) -> str:
    """Render a template of this package."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['number'] = format_number
    return environment.get_template(template).render(**values)


def criteria_rows(headlines: list[dict]) -> list[dict]:
    """Return a table row for each measure that any checkpoint has.

    Its ``cells`` are a (value, level) or None for each headline.
    """
    rows = []
    for criterion in CRITERIA:
        values = [values.get(criterion.key) for values in headlines]
        cells = [v if v is None else (v, criterion.level(v)) for v in values]
        if any(cells):
            rows.append(dict(criterion=criterion, cells=cells))
    return rows


def inline_pictures(pictures: list[dict], folder: Path) -> list[dict]:
    """Add the content of each picture as a data URL."""

    def url(file: str) -> str:
        data = base64.b64encode((folder / file).read_bytes()).decode()
        return f'data:image/png;base64,{data}'

    return [dict(picture, url=url(picture['file'])) for picture in pictures]


def format_number(value) -> str:
    """Format to three significant digits, without an exponent."""
    if value is None:
        return '–'
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or value == 0:
        return f'{int(value):,}'
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f'{value:.{min(digits, 4)}f}'
