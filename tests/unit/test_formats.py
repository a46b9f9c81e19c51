# SPDX-License-Identifier: Apache-2.0
"""Which formats are converted, and which one bytes begin like."""

import pytest

from glance_rawstore import exceptions
from glance_rawstore import formats
from tests.unit import headers


@pytest.mark.parametrize('declared', sorted(formats.CONVERTIBLE))
def test_declared_formats_that_are_converted(declared):
    assert formats.check_formats(declared, 'bare') == declared


@pytest.mark.parametrize(
    'declared', [None, '', 'raw', 'iso', 'ploop', 'qed', 'QCOW2', 'luks']
)
def test_declared_formats_that_are_not_converted(declared):
    with pytest.raises(exceptions.UnsupportedFormat, match='vhdx, vmdk'):
        formats.check_formats(declared, 'bare')


@pytest.mark.parametrize(
    'container', [None, '', 'ovf', 'ova', 'docker', 'compressed']
)
def test_no_container_is_opened(container):
    with pytest.raises(exceptions.UnsupportedFormat, match='only bare'):
        formats.check_formats('qcow2', container)


@pytest.mark.parametrize(
    ('head', 'expected'),
    [
        (headers.qcow2(), 'qcow2'),
        (headers.vmdk(), 'vmdk'),
        (headers.vdi(), 'vdi'),
        (headers.vhd(), 'vhd'),
        (bytes(512), None),
        (b'', None),
        (b'QFI\xfb', None),
    ],
)
def test_the_format_is_told_from_the_first_bytes(head, expected):
    assert formats.detect(head) == expected
