# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Reports rendered in headless Chromium; skipped without it."""

import html
import json
import re
import shutil
import subprocess

import pytest

from pauc_mm.diagnosis import DiagnosisOptions, compare, diagnose
from pauc_mm.diagnosis.prototypes import report_prototypes

from .test_prototypes import on_the_sphere, write

pytestmark = pytest.mark.slow
NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
# Added to the page; it records what the browser rendered.
PROBE = """<script>
addEventListener('load', () => {
  const pre = document.createElement('pre');
  pre.id = 'probe';
  pre.textContent = JSON.stringify({
    images: [...document.images].map(i => [i.complete, i.naturalWidth]),
    widest: document.documentElement.scrollWidth - innerWidth,
    verdict: document.querySelector('.verdict h2')?.innerText,
    cells: document.querySelectorAll('td').length,
    hidden: [...document.querySelectorAll('.scroll')].map(
      t => t.scrollWidth - t.clientWidth),
    broken: [...document.querySelectorAll('th')].filter(
      t => t.scrollWidth > t.clientWidth).length,
    loaded: performance.getEntriesByType('resource').map(e => e.name),
  });
  document.body.append(pre);
});
</script>"""


@pytest.fixture(scope='session')
def chromium():
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip('needs Chromium')
    return program


def browse(chromium, page, folder, width=1000):
    """Open a page; return the probe's record and every requested URL."""
    probed = folder / f'probed_{page.name}'
    text = page.read_text(encoding='utf-8')
    probed.write_text(text + PROBE, encoding='utf-8')
    log = folder / 'net.json'
    done = subprocess.run(
        [
            chromium,
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--disable-dev-shm-usage',
            '--disable-background-networking',
            '--disable-component-update',
            '--no-first-run',
            f'--user-data-dir={folder / "profile"}',
            f'--window-size={width},1200',
            f'--log-net-log={log}',
            f'--screenshot={folder / "page.png"}',
            '--virtual-time-budget=5000',
            '--dump-dom',
            probed.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    probe = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)
    assert probe, done.stderr[-2000:]
    requests = [
        e.get('params', {}) for e in json.loads(log.read_text())['events']
    ]
    asked = {
        r['url']
        for r in requests
        # The browser's own, such as for the time, have no origin.
        if r.get('initiator', 'not an origin') != 'not an origin'
    }
    return json.loads(html.unescape(probe.group(1))), asked


@pytest.mark.parametrize('width', [600, 1100])
def test_report(chromium, run, tmp_path, width):
    options = DiagnosisOptions(labels=True)
    report = diagnose(str(run / 'epoch_4.pth'), tmp_path, options)
    page = tmp_path / 'report.html'
    seen, asked = browse(chromium, page, tmp_path, width)
    assert seen['verdict'] == report['verdict']['title']
    assert len(seen['images']) == len(report['pictures']) == 6
    assert all(done and width > 400 for done, width in seen['images'])
    assert seen['cells'] > 50
    assert seen['widest'] <= 0  # the page does not scroll sideways
    assert max(seen['hidden']) <= 0  # nor does a table
    assert not seen['broken']
    assert not seen['loaded']
    assert not asked
    assert (tmp_path / 'page.png').stat().st_size > 10_000


def test_comparison(chromium, run, tmp_path):
    checkpoints = [str(run / f'epoch_{n}.pth') for n in (2, 3, 4)]
    page = compare(checkpoints, tmp_path, DiagnosisOptions(tsne=False))
    seen, asked = browse(chromium, page, tmp_path, width=500)
    assert len(seen['images']) == 3
    assert all(done and width > 400 for done, width in seen['images'])
    assert seen['widest'] <= 0
    assert not asked


@pytest.mark.parametrize('width', [600, 1100])
def test_prototypes(chromium, tmp_path, width):
    file = write(tmp_path / 'with_a_name_that_is_long.pth', on_the_sphere())
    report_prototypes([file], tmp_path)
    page = tmp_path / 'prototypes.html'
    seen, asked = browse(chromium, page, tmp_path, width)
    assert len(seen['images']) == 2
    assert all(done and width > 400 for done, width in seen['images'])
    assert seen['widest'] <= 0 and max(seen['hidden']) <= 0
    assert not seen['broken'] and not asked


def test_the_probe_sees_what_is_missing(chromium, tmp_path):
    """The tests above can fail."""
    page = tmp_path / 'bad.html'
    page.write_text(
        '<section class="verdict"><h2>x</h2></section>'
        '<img src="none.png"><img src="http://127.0.0.1:9/x.png">'
        '<div style="width:3000px">wide</div>'
    )
    seen, asked = browse(chromium, page, tmp_path)
    assert [width for _, width in seen['images']] == [0, 0]
    assert seen['widest'] > 0
    assert any(url.startswith('http://127.0.0.1:9') for url in asked)
