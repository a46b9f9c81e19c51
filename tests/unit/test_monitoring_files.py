# SPDX-License-Identifier: Apache-2.0
"""Alert rules and dashboard ask for what the agent tells."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from glance_rawstore.agent import metrics
from glance_rawstore.agent.measures import Kind

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / 'etc/prometheus/glance-rawstore.rules.yml'
DASHBOARD = ROOT / 'etc/grafana/glance-rawstore.json'
ENDINGS = {
    Kind.GAUGE: ('',),
    Kind.COUNTER: ('',),
    Kind.HISTOGRAM: ('_bucket', '_sum', '_count'),
    Kind.SUMMARY: ('_sum', '_count'),
}


def told():
    """Names of every series."""
    return {
        metric.family + ending
        for metric in metrics.METRICS
        for ending in ENDINGS[metric.kind]
    }


def panels():
    return json.loads(DASHBOARD.read_text())['panels']


@pytest.fixture
def promtool():
    path = shutil.which('promtool')
    if path is None:
        pytest.skip('promtool is not installed')
    return path


@pytest.mark.parametrize('path', [RULES, DASHBOARD], ids=lambda p: p.name)
def test_nothing_is_asked_for_that_nobody_tells(path):
    asked = set(re.findall(r'\bglance_rawstore_\w+', path.read_text()))

    assert len(asked) > 10
    assert asked - told() == set()


def test_the_dashboard_shows_every_figure():
    asked = set(re.findall(r'glance_rawstore_\w+', DASHBOARD.read_text()))
    families = {metric.family for metric in metrics.METRICS}

    missing = {
        family
        for family in families
        if not any(name.startswith(family) for name in asked)
    }
    assert missing == {'glance_rawstore_build_info'}


def test_no_panel_lies_upon_another():
    def cells(panel):
        at = panel['gridPos']
        return {
            (x, y)
            for x in range(at['x'], at['x'] + at['w'])
            for y in range(at['y'], at['y'] + at['h'])
        }

    for one, other in itertools.combinations(panels(), 2):
        assert not cells(one) & cells(other), (one['title'], other['title'])
        assert one['id'] != other['id']
    assert all(p['gridPos']['x'] + p['gridPos']['w'] <= 24 for p in panels())


def test_every_panel_says_what_it_shows_and_takes_any_prometheus():
    for panel in panels():
        if panel['type'] != 'row':
            assert panel['description'], panel['title']
            assert panel['targets'], panel['title']
            for target in panel['targets']:
                assert target['datasource']['uid'] == '${datasource}'
                assert '$store' in target['expr']


@pytest.mark.parametrize(
    'arguments',
    [
        ('check', 'rules', '--lint-fatal', str(RULES)),
        ('test', 'rules', str(ROOT / 'tests/monitoring/rules.test.yml')),
    ],
    ids=['rules', 'their tests'],
)
def test_promtool_is_content(promtool, arguments):
    done = subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test():
    alerts = set(re.findall(r'alert: (\w+)', RULES.read_text()))
    tests = (ROOT / 'tests/monitoring/rules.test.yml').read_text()

    assert {alert for alert in alerts if alert not in tests} == set()
