# SPDX-License-Identifier: Apache-2.0
"""Finding and reading Glance's configuration without Glance."""

import pytest
from oslo_config import cfg

from glance_rawstore import exceptions
from glance_rawstore.cli import configuration

TEXT = """
[DEFAULT]
enabled_backends = ceph:rbd,raw:rawrbd,more:rawrbd
[raw]
rbd_store_pool = images_raw
[more]
rbd_store_pool = more_raw
"""


@pytest.fixture
def path(tmp_path):
    found = tmp_path / 'glance-api.conf'
    found.write_text(TEXT)
    return found


def test_the_store_that_is_named_is_found(path):
    for name in ('raw', 'more'):
        store = configuration.raw_store([str(path)], name)

        assert store.name == name
        assert store.rbd.pool == f'{"images" if name == "raw" else name}_raw'


def test_the_only_store_need_not_be_named(tmp_path):
    path = tmp_path / 'glance-api.conf'
    path.write_text('[DEFAULT]\nenabled_backends = ceph:rbd,raw:rawrbd\n')

    assert configuration.raw_store([str(path)], None).name == 'raw'


def test_later_files_win(path, tmp_path):
    later = tmp_path / 'later.conf'
    later.write_text('[raw]\nrbd_store_pool = other\n')

    store = configuration.raw_store([str(path), str(later)], 'raw')

    assert store.rbd.pool == 'other'


def test_the_directory_of_the_wsgi_server_is_looked_into(path, monkeypatch):
    """There is no --config-file for glance.wsgi.api."""
    monkeypatch.setenv('OS_GLANCE_CONFIG_DIR', str(path.parent))

    assert configuration.raw_store(None, 'raw').rbd.pool == 'images_raw'


def test_the_usual_places_are_looked_into(path, monkeypatch):
    monkeypatch.delenv('OS_GLANCE_CONFIG_DIR', raising=False)
    asked = []

    def find(**kwargs):
        asked.append(kwargs)
        return [str(path)]

    monkeypatch.setattr(cfg, 'find_config_files', find)

    assert configuration.raw_store(None, 'raw').rbd.pool == 'images_raw'
    assert asked[0] == {'project': 'glance', 'prog': 'glance-api'}


def test_no_configuration_says_how_to_name_one(monkeypatch):
    monkeypatch.delenv('OS_GLANCE_CONFIG_DIR', raising=False)
    monkeypatch.setattr(cfg, 'find_config_files', lambda **_: [])

    with pytest.raises(exceptions.BadSetup, match='--config-file'):
        configuration.raw_store(None, None)


@pytest.mark.parametrize(
    'text',
    [
        'enabled_backends = a:rawrbd\n',  # without a group
        '[DEFAULT]\nenabled_backends = nothing\n',
        '[DEFAULT\n',
    ],
)
def test_what_cannot_be_parsed_is_told_as_such(tmp_path, text):
    path = tmp_path / 'glance-api.conf'
    path.write_text(text)

    with pytest.raises(exceptions.BadSetup, match='cannot be read'):
        configuration.raw_store([str(path)], None)


def test_a_setting_that_is_no_number_is_told_as_such(tmp_path):
    path = tmp_path / 'glance-api.conf'
    path.write_text(
        '[DEFAULT]\nenabled_backends = raw:rawrbd\n'
        '[raw]\nrados_connect_timeout = soon\n'
    )

    with pytest.raises(exceptions.BadSetup):
        configuration.raw_store([str(path)], None)
