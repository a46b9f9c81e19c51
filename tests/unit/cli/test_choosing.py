# SPDX-License-Identifier: Apache-2.0
"""Which images are meant, and what is refused."""

import argparse
import io
import sys

import pytest

from glance_rawstore import exceptions
from glance_rawstore.catalog import Image
from glance_rawstore.cli import choosing

ONE, TWO, THREE = (f'00000000-0000-0000-0000-00000000000{n}' for n in '123')


def image(image_id, **properties):
    return Image(
        image_id, 'active', 'qcow2', 'bare', 0, 0, 'me', properties, ()
    )


IMAGES = {
    ONE: image(ONE, os_distro='debian', os_version='12'),
    TWO: image(TWO, os_distro='debian', os_version='11'),
    THREE: image(THREE),
}


def parsed(*argv):
    parser = argparse.ArgumentParser()
    choosing.add_arguments(parser, 'all of them')
    return parser.parse_args(argv)


def chosen(*argv):
    # One of them is deleted before it is looked at.
    return choosing.choose(
        parsed(*argv), lambda: [*IMAGES, 'gone'], IMAGES.get
    )


def test_images_are_taken_once_in_the_order_in_which_they_are_named():
    assert chosen(TWO, ONE, TWO) == [TWO, ONE]


def test_a_file_has_ids_and_comments(tmp_path):
    path = tmp_path / 'ids'
    path.write_text(f'# ours\n\n{ONE}  # the first\n  {TWO}\n{ONE}\n')

    assert chosen('--from-file', str(path)) == [ONE, TWO]
    assert chosen(THREE, '--from-file', str(path)) == [THREE, ONE, TWO]


def test_a_dash_is_standard_input(monkeypatch):
    monkeypatch.setattr(sys, 'stdin', io.StringIO(f'{ONE}\n'))

    assert chosen('--from-file', '-') == [ONE]


def test_a_file_of_bytes_is_no_list(tmp_path):
    path = tmp_path / 'ids'
    path.write_bytes(b'\xff\xfe')

    with pytest.raises(exceptions.WrongUsage, match='cannot be read'):
        chosen('--from-file', str(path))


@pytest.mark.parametrize(
    ('properties', 'expected'),
    [
        ((), [*IMAGES, 'gone']),
        (('os_distro=debian',), [ONE, TWO]),
        (('os_distro=debian', 'os_version=12'), [ONE]),
        (('os_distro=arch',), []),
        (('os_distro=',), []),
        (('disk_format=qcow2',), list(IMAGES)),
        (('owner=you',), []),
    ],
)
def test_all_is_narrowed_by_every_property(properties, expected):
    options = [f'--property={each}' for each in properties]

    assert chosen('--all', *options) == expected


@pytest.mark.parametrize(
    ('argv', 'words'),
    [
        ((), 'Name images'),
        (('--all', ONE), 'not both'),
        ((ONE, '--property=a=b'), 'give --all'),
        (('--property=a=b',), 'give --all'),
    ],
)
def test_what_cannot_be_meant_is_refused(argv, words):
    with pytest.raises(exceptions.WrongUsage, match=words):
        chosen(*argv)


@pytest.mark.parametrize('text', ['nothing', '=value', ''])
def test_a_property_has_a_name_and_a_value(text, capsys):
    with pytest.raises(SystemExit):
        parsed('--all', '--property', text)

    assert 'NAME=VALUE' in capsys.readouterr().err


@pytest.mark.parametrize('text', ['', 'one', f'{ONE}.part', f'{ONE}\n', '../'])
def test_what_is_no_id_is_told_as_such(text):
    with pytest.raises(exceptions.NotFound, match='not the id of an image'):
        choosing.check_id(text)


def test_an_id_is_one():
    assert choosing.check_id(ONE) == ONE
