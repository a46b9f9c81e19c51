# SPDX-License-Identifier: Apache-2.0
"""Which images are meant: by id, from a file, or all with some properties."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from glance_rawstore import exceptions
from glance_rawstore.lifecycle import raw_copy

#: What of an image is no property, and can be chosen by as well.
_ATTRIBUTES = ('disk_format', 'container_format', 'owner', 'status')


class Image(Protocol):
    """What is used of :class:`glance_rawstore.catalog.Image`."""

    @property
    def image_id(self) -> str:
        """Its id."""

    @property
    def properties(self) -> dict[str, str]:
        """What anybody may set."""


def add_arguments(parser: argparse.ArgumentParser, every: str) -> None:
    """Add the ways to name images.

    :param every: what ``--all`` means
    """
    parser.add_argument(
        'images', metavar='IMAGE', nargs='*', help='id of an image'
    )
    parser.add_argument(
        '--from-file',
        metavar='FILE',
        type=argparse.FileType(),
        help='ids of images, one in a line, empty lines and comments from # '
        'on left out; - is standard input',
    )
    parser.add_argument('--all', action='store_true', help=every)
    parser.add_argument(
        '--property',
        action='append',
        type=_pair,
        default=[],
        metavar='NAME=VALUE',
        help='of --all, those with this property alone; may be repeated; '
        'disk_format, container_format, owner and status work as well',
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition('=')
    if not (name and equals):
        raise argparse.ArgumentTypeError('must be NAME=VALUE')
    return name, value


def _lines(file: Iterable[str]) -> Iterator[str]:
    for line in file:
        text = line.partition('#')[0].strip()
        if text:
            yield text


def check(args: argparse.Namespace) -> None:
    """Refuse what cannot be meant.

    :raises WrongUsage: nothing is named, or ``--all`` and something else
    """
    named = bool(args.images or args.from_file)
    if args.all and named:
        raise exceptions.WrongUsage('Give either --all or images, not both.')
    if args.property and not args.all:
        raise exceptions.WrongUsage('--property narrows --all: give --all.')
    if not (args.all or named):
        raise exceptions.WrongUsage(
            'Name images by their ids, or give --from-file or --all.'
        )


def named(args: argparse.Namespace) -> list[str]:
    """What was named, each once, in its order; may be no ids at all.

    :raises WrongUsage: the file cannot be read
    """
    found = list(args.images)
    if args.from_file:
        try:
            with args.from_file as file:
                found += _lines(file)
        except (OSError, UnicodeDecodeError) as exc:
            raise exceptions.WrongUsage(
                f'{args.from_file.name} cannot be read: {exc}'
            ) from exc
    return list(dict.fromkeys(found))


def choose(
    args: argparse.Namespace,
    every: Callable[[], Iterable[str]],
    image: Callable[[str], Image | None],
) -> list[str]:
    """What is meant: whatever was named, or all with those properties.

    :param every: ids of all that ``--all`` stands for
    :param image: an image by its id, asked only to narrow ``--all``
    :raises WrongUsage: see :func:`check` and :func:`named`
    """
    check(args)
    if not args.all:
        return named(args)
    if not args.property:
        return list(every())
    found = (image(image_id) for image_id in every())
    return [x.image_id for x in found if x and _matches(x, args.property)]


def _matches(image: Image, wanted: Iterable[tuple[str, str]]) -> bool:
    has = {name: getattr(image, name, None) for name in _ATTRIBUTES}
    has |= image.properties
    return all(has.get(name) == value for name, value in wanted)


def check_id(text: str) -> str:
    """An image's id, as it is.

    :raises NotFound: it is none, so that there is no such image
    """
    if raw_copy.copy_of(raw_copy.name(text)) is None:
        raise exceptions.NotFound(f'{text!r} is not the id of an image.')
    return text
