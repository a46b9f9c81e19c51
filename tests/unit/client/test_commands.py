# SPDX-License-Identifier: Apache-2.0
import argparse
import io
import types

import pytest
from osc_lib import exceptions

from glance_rawstoreclient import commands
from tests.fakes.image_proxy import ImageProxy


class App:
    """As much of cliff's application as commands use."""

    def __init__(self, proxy):
        self.client_manager = types.SimpleNamespace(image=proxy)
        self.stdout = io.StringIO()
        self.stderr = io.StringIO()


@pytest.fixture
def proxy():
    return ImageProxy()


@pytest.fixture
def run(proxy):
    def run(kind, *arguments):
        app = App(proxy)
        command = kind(app, None)
        parsed = command.get_parser('openstack').parse_args(arguments)
        result = command.take_action(parsed)
        assert app.stderr.getvalue() == ''
        return app.stdout.getvalue() if result is None else result

    return run


def rows(result):
    return [
        tuple(
            c.human_readable() if hasattr(c, 'human_readable') else c
            for c in row
        )
        for row in result[1]
    ]


def test_list_shows_what_has_a_copy_or_is_to_have_one(proxy, run):
    proxy.add('none')
    proxy.add('wished', raw_cache='true')
    proxy.add(
        'there',
        raw_cache_status='active',
        raw_cache_progress='100',
        raw_cache_size='3221225472',
    )

    assert rows(run(commands.ListRawCache)) == [
        ('wished', 'name-of-wished', '', '', ''),
        ('there', 'name-of-there', 'active', '100%', '3.0 GiB'),
    ]


def test_list_can_be_of_some_statuses(proxy, run):
    for status in ('active', 'pending', 'error'):
        proxy.add(status, raw_cache_status=status)

    listed = run(
        commands.ListRawCache, '--status', 'active', '--status', 'error'
    )

    assert [row[0] for row in listed[1]] == ['active', 'error']


def test_sizes_for_programs_are_bytes(proxy, run):
    proxy.add('a', raw_cache_status='active', raw_cache_size='3221225472')

    (row,) = run(commands.ListRawCache)[1]

    assert row[4].machine_readable() == 3221225472


def test_show_tells_what_the_conversion_said(proxy, run):
    proxy.add('a', raw_cache_status='error')
    proxy.tasks['a'] = [
        {
            'input': {'import_req': {'method': {'name': 'raw-cache'}}},
            'message': 'why',
            'created_at': 'now',
        }
    ]

    shown = dict(zip(*run(commands.ShowRawCache, 'name-of-a'), strict=True))

    assert shown['message'] == 'why'
    assert shown['raw_cache_status'] == 'error'


def test_set_asks_for_a_copy(proxy, run):
    proxy.add('a')

    run(commands.SetRawCache, 'a', '--weight', '-5', '--protected')

    body = proxy.bodies['a']
    assert body['raw_cache'] == 'true'
    assert body['raw_cache_weight'] == '-5'
    assert body['raw_cache_protected'] == 'true'


def test_set_again_is_said_again_since_it_is_tried_again(proxy, run):
    proxy.add('a', raw_cache='true', raw_cache_status='error')

    run(commands.SetRawCache, 'a')

    assert proxy.patched == ['a']


def test_set_and_wait_says_when_it_is_ready(proxy, run):
    proxy.add('a', raw_cache_status='active', raw_cache_size='1024')

    out = run(commands.SetRawCache, 'a', '--wait')

    assert out == 'name-of-a: the raw copy is ready, 1.0 KiB\n'


def test_never_asks_for_none(proxy, run):
    proxy.add('a')

    run(commands.SetRawCache, 'a', '--never')

    assert proxy.bodies['a']['raw_cache'] == 'false'


def test_waiting_for_what_shall_never_be_is_refused(proxy, run):
    proxy.add('a')

    with pytest.raises(exceptions.CommandError):
        run(commands.SetRawCache, 'a', '--never', '--wait')
    assert proxy.patched == []


def test_one_that_fails_does_not_keep_the_others(proxy, run, caplog):
    proxy.add('a')
    proxy.add('b')

    with pytest.raises(exceptions.CommandError, match='1 of 3 images'):
        run(commands.SetRawCache, 'a', 'missing', 'b')
    assert proxy.patched == ['a', 'b']
    assert 'missing' in caplog.text


def test_unset_takes_all_of_it_away(proxy, run):
    proxy.add('a', raw_cache='true', raw_cache_weight='1', os_distro='debian')

    run(commands.UnsetRawCache, 'a')

    assert {'raw_cache', 'raw_cache_weight'}.isdisjoint(proxy.bodies['a'])
    assert proxy.bodies['a']['os_distro'] == 'debian'


def test_unset_of_nothing_changes_nothing(proxy, run):
    proxy.add('a')

    run(commands.UnsetRawCache, 'a')

    assert proxy.patched == []


def test_unset_of_one_property_keeps_the_wish(proxy, run):
    proxy.add('a', raw_cache='true', raw_cache_protected='true')

    run(commands.UnsetRawCache, 'a', '--protected')

    assert 'raw_cache_protected' not in proxy.bodies['a']
    assert proxy.bodies['a']['raw_cache'] == 'true'


def test_wait_fails_with_any_that_is_not_ready(proxy, run):
    proxy.add('a', raw_cache_status='active')
    app = App(proxy)
    proxy.add('b', raw_cache_status='evicted')
    command = commands.WaitRawCache(app, None)
    parsed = command.get_parser('openstack').parse_args(['a', 'b'])

    with pytest.raises(exceptions.CommandError, match='1 of 2 images'):
        command.take_action(parsed)
    assert 'name-of-b: the raw copy was evicted' in app.stderr.getvalue()


@pytest.mark.parametrize('value', ['0', '-1', 'inf', 'nan', 'soon'])
def test_a_timeout_is_a_time(value):
    parser = argparse.ArgumentParser(exit_on_error=False)
    commands._add_timeout(parser)

    with pytest.raises(argparse.ArgumentError):
        parser.parse_args(['--timeout', value])
