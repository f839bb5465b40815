# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The reports as a person sees them: in headless Chromium."""

import html
import json
import os
import re
import shutil
import subprocess

import pytest

from pauc_mm.diagnosis import compare, diagnose

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
# Put at the end of the page: what the browser made of it.
PROBE = """<script>
addEventListener('load', () => {
  const pre = document.createElement('pre');
  pre.id = 'probe';
  pre.textContent = JSON.stringify({
    images: [...document.images].map(i => [i.complete, i.naturalWidth]),
    widest: document.documentElement.scrollWidth - innerWidth,
    verdict: document.querySelector('.verdict h2').innerText,
    cells: document.querySelectorAll('td').length,
    loaded: performance.getEntriesByType('resource').map(e => e.name),
  });
  document.body.append(pre);
});
</script>"""


@pytest.fixture(scope='session')
def chromium():
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get('CI') != 'true':
        pytest.skip('needs Chromium: apt install chromium')
    if found is None:
        pytest.fail('tools/run_tests.sh should have installed Chromium')
    return found


def browse(chromium, page, folder, width=1000):
    """Open a page; what the probe saw, and every URL that it asked for."""
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
        timeout=120,
    )
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)
    assert found, done.stderr[-2000:]
    requests = [
        e.get('params', {}) for e in json.loads(log.read_text())['events']
    ]
    asked = {
        r['url']
        for r in requests
        # The browser's own, such as for the time, have no origin.
        if r.get('initiator', 'not an origin') != 'not an origin'
    }
    return json.loads(html.unescape(found.group(1))), asked


def test_report(chromium, run, tmp_path):
    report = diagnose(str(run / 'epoch_4.pth'), tmp_path, with_labels=True)
    seen, asked = browse(chromium, tmp_path / 'report.html', tmp_path)
    assert seen['verdict'] == report['verdict']['title']
    assert len(seen['images']) == len(report['pictures']) == 6
    assert all(done and width > 400 for done, width in seen['images'])
    assert seen['cells'] > 50
    assert seen['widest'] <= 0  # no scrolling to the side
    assert not seen['loaded']
    assert not asked
    assert (tmp_path / 'page.png').stat().st_size > 10_000


def test_comparison(chromium, run, tmp_path):
    checkpoints = [str(run / f'epoch_{n}.pth') for n in (2, 3, 4)]
    page = compare(checkpoints, tmp_path, tsne=False)
    seen, asked = browse(chromium, page, tmp_path, width=500)
    assert len(seen['images']) == 3
    assert all(done and width > 400 for done, width in seen['images'])
    assert seen['widest'] <= 0
    assert not asked


def test_the_probe_sees_what_is_missing(chromium, tmp_path):
    """Else the tests above could not fail."""
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
