# SPDX-License-Identifier: Apache-2.0
"""Uploaded bytes: hashed as they pass, all of them, in any portions."""

import hashlib
import io

import pytest
from glance_store import exceptions as store_exceptions
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore import exceptions
from glance_rawstore import ingest

chunkings = st.lists(st.binary(min_size=1, max_size=50), max_size=12)


class Verifier:
    """Takes what cursive's does."""

    def __init__(self):
        self.data = b''

    def update(self, data):
        self.data += data


@given(chunkings, st.integers(0, 200), st.sampled_from(['sha256', 'sha512']))
def test_all_bytes_pass_and_are_hashed_however_they_come(
    chunks, peeked, algorithm
):
    data, verifier = b''.join(chunks), Verifier()
    stream = ingest.Stream(iter(chunks), algorithm, verifier)

    assert stream.peek(peeked) == data[:peeked]
    assert stream.peek(peeked) == data[:peeked], 'they are still to come'
    assert b''.join(stream) == data

    assert stream.size == len(data)
    assert stream.checksum == hashlib.md5(data).hexdigest()
    assert stream.multihash == hashlib.new(algorithm, data).hexdigest()
    assert verifier.data == data


@given(st.binary(max_size=300), st.integers(0, 400))
def test_a_file_is_as_good_as_chunks(data, peeked):
    stream = ingest.Stream(io.BytesIO(data), 'sha512', None)

    assert stream.peek(peeked) == data[:peeked]
    assert b''.join(stream) == data
    assert stream.multihash == hashlib.sha512(data).hexdigest()


@given(
    chunkings,
    st.integers(0, 200),
    st.lists(st.integers(1, 70), min_size=1, max_size=8),
)
def test_the_bytes_can_be_read_as_a_file_instead(chunks, peeked, lengths):
    data = b''.join(chunks)
    stream = ingest.Stream(iter(chunks), 'sha512', None)
    stream.peek(peeked)
    file = stream.unhashed()

    found = b''
    for number in range(len(data) + 1):
        length = lengths[number % len(lengths)]
        portion = file.read(length)
        assert len(portion) == min(length, len(data) - len(found))
        found += portion
        if not portion:
            break

    assert found == data
    assert file.read(10) == b''


def test_an_empty_portion_is_not_the_end():
    """Of an iterator; of a file it is."""
    chunks = [b'', b'abc', b'', b'def']

    assert ingest.Stream(iter(chunks), 'sha512', None).peek(5) == b'abcde'
    stream = ingest.Stream(iter(chunks), 'sha512', None)
    assert stream.unhashed().read(10) == b'abcdef'


def test_no_more_is_read_ahead_than_was_asked_for():
    chunks = iter([b'abc', b'def', b'ghi'])
    stream = ingest.Stream(chunks, 'sha512', None)

    assert stream.peek(4) == b'abcd'

    assert next(chunks) == b'ghi'


def test_nothing_counts_before_it_has_passed():
    stream = ingest.Stream(iter([b'abc']), 'sha512', None)
    stream.peek(3)

    assert stream.size == 0
    assert stream.checksum == hashlib.md5().hexdigest()


def test_a_hash_that_nobody_knows_is_refused_at_once():
    with pytest.raises(ValueError, match='unsupported hash'):
        ingest.Stream(iter([]), 'crc0', None)


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        (exceptions.NoSpace, store_exceptions.StorageFull),
        (exceptions.CopyExists, store_exceptions.Duplicate),
        (exceptions.LeaseHeld, store_exceptions.Duplicate),
        (exceptions.Refused, store_exceptions.Invalid),
        (exceptions.TooLarge, store_exceptions.Invalid),
        (exceptions.UnsupportedFormat, store_exceptions.Invalid),
        (exceptions.ConversionFailed, store_exceptions.Invalid),
        (exceptions.Stalled, store_exceptions.Invalid),
        (exceptions.Cancelled, store_exceptions.Invalid),
        (exceptions.BadSetup, store_exceptions.Invalid),
    ],
)
def test_our_errors_become_those_of_a_store(ours, theirs):
    with pytest.raises(theirs, match=r'^Why it is so\.$'), ingest.translated():
        raise ours('Why it is so.')


def test_errors_of_others_are_left_alone():
    with pytest.raises(ZeroDivisionError), ingest.translated():
        raise ZeroDivisionError
