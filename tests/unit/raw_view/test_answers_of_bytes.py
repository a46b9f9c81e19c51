# SPDX-License-Identifier: Apache-2.0
"""Bytes, whole or in part: those of the copy, or those of the original."""

import pytest

from glance_rawstore import exceptions
from glance_rawstore.raw_view import raw_file
from tests.contract.world import DATA
from tests.contract.world import SIZE


def part(bed, image_id, text, **headers):
    return bed.ask(
        f'/{image_id}/file', headers={'Range': f'bytes={text}', **headers}
    )


def test_the_whole_copy_is_sent_and_nothing_of_the_original(bed):
    image_id = bed.image()

    answer = bed.ask(f'/{image_id}/file')

    assert answer.status_int == 200
    assert answer.content_length == SIZE
    assert answer.headers['Accept-Ranges'] == 'bytes'
    assert 'Content-MD5' not in answer.headers
    assert answer.body == DATA.ljust(SIZE, b'\0')
    (original,) = bed.glance.originals
    assert (original.read, original.closed) == (0, True)


@pytest.mark.parametrize(
    ('text', 'start', 'stop'),
    [
        ('0-9', 0, 10),
        ('5-', 5, SIZE),
        (f'{SIZE - 5}-', SIZE - 5, SIZE),
        ('-7', SIZE - 7, SIZE),
        (f'100-{SIZE * 2}', 100, SIZE),
        (f'-{SIZE}', 0, SIZE),
    ],
)
def test_a_part_of_the_copy_is_sent(bed, text, start, stop):
    image_id = bed.image()

    answer = part(bed, image_id, text)

    assert answer.status_int == 206
    assert answer.content_length == stop - start
    expected = f'bytes {start}-{stop - 1}/{SIZE}'
    assert answer.headers['Content-Range'] == expected
    assert answer.body == DATA.ljust(SIZE, b'\0')[start:stop]


@pytest.mark.parametrize('text', [f'{SIZE}-', f'{SIZE * 2}-{SIZE * 3}'])
def test_a_part_beyond_the_end_is_refused(bed, text):
    image_id = bed.image()

    answer = part(bed, image_id, text)

    assert answer.status_int == 416
    assert answer.headers['Content-Range'] == f'bytes */{SIZE}'


def test_more_than_there_is_of_the_last_bytes_is_all_of_it(bed):
    """By RFC 9110, and by Glance; webob alone would refuse."""
    image_id = bed.image()

    answer = part(bed, image_id, f'-{SIZE + 1}')

    assert (answer.status_int, answer.content_length) == (200, SIZE)


def test_a_range_beyond_the_original_is_one_of_the_copy(bed):
    """Glance, asked for it, would refuse."""
    image_id = bed.image(data=b'short')

    assert part(bed, image_id, '10-19').body == DATA[10:20]


def test_a_range_that_was_meant_for_other_bytes_is_not_cut(bed):
    image_id = bed.image()

    answer = part(bed, image_id, '0-9', **{'If-Range': '"etag"'})

    assert (answer.status_int, answer.content_length) == (200, SIZE)


def test_a_range_of_an_original_is_left_to_glance(bed):
    image_id = bed.image(copied=False)

    answer = part(bed, image_id, '3-8')

    assert answer.status_int == 206
    assert answer.body == b'QFIQFI'
    assert answer.headers['Content-Range'] == 'bytes 3-8/3000'


def test_a_copy_that_vanishes_before_it_is_opened_is_to_be_looked_for_again(
    bed,
):
    """Who was shown it must not be given the original."""
    image_id = bed.image()
    bed.glance.after = lambda: (
        bed.world.names() and bed.world.pool.delete(image_id)
    )

    answer = part(bed, image_id, '3-8')

    assert (answer.status_int, answer.headers['Retry-After']) == (503, '1')
    assert 'Ask for the image again' in answer.text
    (unused,) = bed.glance.originals
    assert (unused.read, unused.closed) == (0, True)


def test_ceph_away_before_the_copy_is_opened_does_not_give_the_original(
    bed, monkeypatch
):
    image_id = bed.image()

    def away(_settings, _image_id):
        raise exceptions.CephUnavailable('no answer')

    monkeypatch.setattr(raw_file.RawFile, 'open', away)

    assert bed.ask(f'/{image_id}/file').status_int == 503


def test_an_image_without_data_has_none(bed):
    image_id = bed.image(copied=False, data=b'', status='queued')

    assert bed.ask(f'/{image_id}/file').status_int == 204


def test_an_original_is_closed_when_the_client_goes_away(bed):
    image_id = bed.image(copied=False)
    request = bed.request(f'/{image_id}/file')

    chunks = bed.view(request.environ, lambda *_args: None)
    next(iter(chunks))
    chunks.close()

    (original,) = bed.glance.originals
    assert (original.read, original.closed) == (1000, True)


class Unreadable:
    """A body that is as long as its caller says, and takes as long."""

    def read(self, *_args):
        raise AssertionError('nobody needs it')


@pytest.mark.parametrize('path', ['/{}/file', '?disk_format=raw'])
def test_a_body_that_means_nothing_is_not_read(bed, path):
    """It would be kept in memory, or in a file, to be sent on."""
    path = path.format(bed.image())
    request = bed.request(path)
    request.environ['wsgi.input'] = Unreadable()
    request.content_length = 1 << 40

    assert request.get_response(bed.view).status_int == 200
