# SPDX-License-Identifier: Apache-2.0
"""Block nodes name everything, so that nothing is guessed."""

import pytest

from glance_rawstore import nodes


@pytest.mark.parametrize(
    ('driver', 'backing'),
    [
        ('qcow2', {'backing': None}),
        ('vmdk', {'backing': None}),
        ('vdi', {}),
        ('vpc', {}),
        ('vhdx', {}),
        ('raw', {}),
    ],
)
def test_a_source_names_its_format_and_has_no_backing_file(driver, backing):
    protocol = {'driver': 'file', 'filename': '/s'}

    assert nodes.source(driver, protocol) == {
        'driver': driver,
        'file': protocol,
        'read-only': True,
        **backing,
    }


@pytest.mark.parametrize(
    ('given', 'more'),
    [
        (('/etc/ceph/c.conf', 'glance'), {'conf': '/etc/ceph/c.conf'}),
        (('', 'glance'), {}),
        (('', 'glance', 'snap'), {'snapshot': 'snap'}),
    ],
)
def test_a_node_in_rbd_names_what_is_known(given, more):
    assert nodes.rbd('pool', 'image', *given) == {
        'driver': 'rbd',
        'pool': 'pool',
        'image': 'image',
        'user': 'glance',
        **more,
    }


def test_a_node_in_rbd_can_leave_the_user_to_ceph():
    assert 'user' not in nodes.rbd('pool', 'image', '', None)


def test_options_are_those_of_the_node_and_of_what_is_below():
    node = {'driver': 'raw', 'file': {'driver': 'file', 'filename': '/a,b=c'}}

    assert nodes.as_options(node) == (
        'driver=raw,file.driver=file,file.filename=/a,,b=c'
    )
