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
    ('cluster_size', 'entry'),
    [(512, 512), (4096, 4096), (65536, 65536), (2 << 20, 65536)],
)
def test_tables_of_a_qcow2_are_read_in_large_pieces_and_few_are_kept(
    cluster_size, entry
):
    node = nodes.source('qcow2', {}, cluster_size)

    assert node['l2-cache-entry-size'] == entry
    assert node['l2-cache-size'] == 4 << 20


def test_other_formats_are_told_nothing_of_tables():
    assert nodes.source('vmdk', {}, 65536) == nodes.source('vmdk', {})


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
        'cache': {'direct': True},
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


@pytest.mark.parametrize(('value', 'said'), [(True, 'on'), (False, 'off')])
def test_options_that_are_true_or_false_are_on_or_off(value, said):
    node = {'driver': 'rbd', 'cache': {'direct': value}}

    assert nodes.as_options(node) == f'driver=rbd,cache.direct={said}'
