# SPDX-License-Identifier: Apache-2.0
"""The command, run on a Ceph in memory."""

import pytest

from glance_rawstore import cli
from glance_rawstore.agent.node import Node
from tests.unit.agent.conftest import node as node
from tests.unit.agent.conftest import work as work


@pytest.fixture
def command(world, tmp_path, capsys):
    """Run it with these arguments: exit status, stdout and stderr."""
    path = tmp_path / 'glance-api.conf'
    path.write_text(
        '[DEFAULT]\nenabled_backends = ceph:rbd,raw:rawrbd\n'
        '[raw]\n'
        f'rbd_store_ceph_conf = {world.settings.conf_file}\n'
        f'rbd_store_user = {world.settings.user}\n'
        f'rbd_store_pool = {world.settings.pool}\n'
    )

    def run(*argv):
        capsys.readouterr()
        status = cli.main([f'--config-file={path}', *argv])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def on_node(command, node, monkeypatch):
    """The same, with a Glance in memory."""
    monkeypatch.setattr(Node, 'start', lambda files, store: node)
    return command
