# SPDX-License-Identifier: Apache-2.0
"""How much of an image is read to judge it, and what if it cannot be."""

import pytest

from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import safety
from tests.unit import headers
from tests.unit.headers import Memory

LIMIT = 4096 << 30  # in bytes


class Sparse:
    """A large source, zero but for its start and its end; counts reads."""

    def __init__(self, size, start=b'', end=b'', also=()):
        self.size = size
        self._parts = [(0, start), (size - len(end), end), *also]
        self.read_bytes = 0

    def read(self, offset, length):
        length = max(0, min(length, self.size - offset))
        self.read_bytes += length
        data = bytearray(length)
        for at, part in self._parts:
            low, high = max(at, offset), min(at + len(part), offset + length)
            if low < high:
                data[low - offset : high - offset] = part[low - at : high - at]
        return bytes(data)


class Failing(Memory):
    """Gives so many bytes and then an error."""

    def __init__(self, data, size, error):
        super().__init__(data)
        self.size = size
        self._error = error

    def read(self, offset, length):
        data = super().read(offset, length)
        if len(data) < length:
            raise self._error
        return data


class Short(Memory):
    """Is shorter than it says."""

    def __init__(self, data, size):
        super().__init__(data)
        self.size = size


HEADERS = {
    'qcow2': headers.qcow2(),
    'vmdk': headers.vmdk(),
    'vdi': headers.vdi(),
    'vhd': headers.vhd(),
}


@pytest.mark.parametrize('disk_format', HEADERS)
def test_little_is_read_of_a_large_image(disk_format):
    source = Sparse(1 << 40, HEADERS[disk_format])

    safety.inspect(source, disk_format, LIMIT)

    assert source.read_bytes <= 1 << 20


@pytest.mark.parametrize('disk_format', sorted(formats.CONVERTIBLE))
def test_reading_ends_whatever_the_image_says(disk_format):
    magic = HEADERS.get(disk_format, b'vhdxfile')[:8]
    source = Sparse(1 << 40, magic)

    with pytest.raises(exceptions.Refused):
        safety.inspect(source, disk_format, LIMIT)

    assert source.read_bytes <= safety.INSPECT_LIMIT + (1 << 20)


STREAM = headers.vmdk(
    headers.descriptor('streamOptimized'), directory=headers.AT_END
)
FOOTER = headers.footer(headers.header())


@pytest.mark.parametrize('size', [1 << 20, 16 << 20, 17 << 20, 1 << 34])
def test_the_footer_of_a_vmdk_is_found_at_its_end(size):
    source = Sparse(size, STREAM, FOOTER)

    assert safety.inspect(source, 'vmdk', LIMIT).virtual_size == 4096


@pytest.mark.parametrize('size', [1 << 20, 16 << 20, 17 << 20, 1 << 34])
@pytest.mark.parametrize(
    'end',
    [
        b'',
        headers.footer(headers.header(at=2)),
        headers.footer(headers.header(version=3)),
        headers.footer(headers.header(directory=headers.AT_END)),
        bytes(512) + headers.header().ljust(1024, b'\0'),
    ],
)
def test_a_footer_that_contradicts_the_header_is_refused(size, end):
    with pytest.raises(exceptions.UnsafeImage) as caught:
        safety.inspect(Sparse(size, STREAM, end), 'vmdk', LIMIT)

    assert caught.value.checks == ('footer',)


def test_a_footer_where_reading_stops_is_not_taken_for_the_last_one():
    decoy = [(safety.INSPECT_LIMIT - len(FOOTER), FOOTER)]
    end = headers.footer(headers.header(at=2))
    source = Sparse(1 << 30, STREAM, end, decoy)

    with pytest.raises(exceptions.UnsafeImage, match='footer'):
        safety.inspect(source, 'vmdk', LIMIT)


@pytest.mark.parametrize('disk_format', sorted(formats.CONVERTIBLE))
@pytest.mark.parametrize('length', [0, 1, 64, 511])
def test_an_image_that_ends_too_early_is_refused(disk_format, length):
    data = HEADERS.get(disk_format, b'vhdxfile'.ljust(600, b'\0'))[:length]

    for size in (length, 1 << 20):
        with pytest.raises(exceptions.UnsafeImage):
            safety.inspect(Short(data, size), disk_format, LIMIT)


@pytest.mark.parametrize('length', [0, 64, 1 << 16])
def test_a_source_that_cannot_be_read_is_not_the_fault_of_the_image(length):
    """Else nobody would try again, and the tenant would look for a fault."""
    error = exceptions.CephUnavailable('The cluster did not answer.')
    data = headers.vmdk(directory=headers.AT_END).ljust(length, b'\0')
    source = Failing(data[:length], 1 << 30, error)

    with pytest.raises(exceptions.CephUnavailable):
        safety.inspect(source, 'vmdk', LIMIT)


def test_what_breaks_while_it_is_judged_is_refused():
    source = Failing(b'', 1 << 30, ZeroDivisionError())

    with pytest.raises(exceptions.Refused):
        safety.inspect(source, 'qcow2', LIMIT)
