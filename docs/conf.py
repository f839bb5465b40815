# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The site: ``bash tools/build_docs.sh``."""

import re
import sys
from html import escape
from pathlib import Path

import myst_nb.core.render

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pauc_mm.version import __version__  # noqa: E402

project = 'pauc_mm'
author = 'pauc_mm contributors'
copyright = f'2026, {author}'
release = __version__

extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
    'sphinx_design',
]
exclude_patterns = ['_build', 'jupyter_execute']
# A program's output is no Python.
suppress_warnings = ['misc.highlighting_failure']
html_theme = 'furo'
html_title = f'pauc_mm {release}'
html_static_path = ['figures']

myst_enable_extensions = ['colon_fence', 'dollarmath']
myst_heading_anchors = 3

# Tutorials are run when the site is built, on one core.
nb_execution_mode = 'cache'
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = -1  # none: the machine may be busy
nb_merge_streams = True

autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings say them, with shapes
napoleon_use_rtype = False
napoleon_use_ivar = True

_LINK = re.compile(r'\[([^\]]+)\]\((\.\./[^)#]*)(#[^)]*)?\)')


def link_sources(app, docname, source):
    """Lead links that leave docs/ to the sources on the site.

    The pages are read in the repository too, where they lead to the files.
    """

    def replace(match):
        text, path, _ = match.groups()
        text = re.sub(r'`([^`]+)`', r'<code>\1</code>', escape(text))
        path = (ROOT / 'docs' / docname).parent / path
        path = path.resolve().relative_to(ROOT)
        if path.parts[0] == 'docs':
            return match[0]
        if path.parts[0] != 'pauc_mm' or path.suffix != '.py':
            return text
        up = '../' * docname.count('/')
        page = path.with_suffix('.html').as_posix()
        return f'<a href="{up}_modules/{page}">{text}</a>'

    source[0] = _LINK.sub(replace, source[0])


def join_streams(outputs):
    """Join a program's output as it was printed; myst-nb would break lines."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output['output_type'] == 'stream' and all(
            last.get(key) == output[key] for key in ('output_type', 'name')
        ):
            last['text'] += output['text']
        else:
            joined.append(output)
    return joined


myst_nb.core.render.coalesce_streams = join_streams


def skip_aliases(app, what, name, obj, skip, options):
    """Leave out fields of named tuples that say nothing but their number."""
    return skip or (obj.__doc__ or '').startswith('Alias for field number')


def setup(app):
    """Connect to the reading of pages and of docstrings."""
    app.connect('source-read', link_sources)
    app.connect('autodoc-skip-member', skip_aliases)
