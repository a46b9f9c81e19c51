# SPDX-License-Identifier: Apache-2.0
"""``openstack image raw cache list|show|set|unset|wait``"""

import argparse
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cliff import columns
from openstack import exceptions as sdk_exceptions
from osc_lib import exceptions
from osc_lib.command import command

from glance_rawstoreclient import copies
from glance_rawstoreclient import showing
from glance_rawstoreclient import waiting
from glance_rawstoreclient.images import Images

LOG = logging.getLogger(__name__)

#: Seconds that ``wait`` waits unless told otherwise.
TIMEOUT = 3600.0

Row = tuple[Any, ...]


class _Size(columns.FormattableColumn[int | None]):
    """Bytes: with a unit in tables, a number for programs."""

    def human_readable(self) -> str:
        return '' if self._value is None else showing.size(self._value)

    def machine_readable(self) -> int | None:
        return self._value


class _Percent(columns.FormattableColumn[int | None]):
    """Percents: with their sign in tables, a number for programs."""

    def human_readable(self) -> str:
        return '' if self._value is None else f'{self._value}%'

    def machine_readable(self) -> int | None:
        return self._value


def _images(cmd: Any) -> Images:
    return Images(cmd.app.client_manager.image)


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'images',
        metavar='<image>',
        nargs='+',
        help='Image (name or ID); may be given several times',
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError('must be more than 0 seconds')
    return value


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--timeout',
        metavar='<seconds>',
        type=_seconds,
        default=TIMEOUT,
        help='How long to wait for all of them together, in seconds '
        '(default: %(default)g)',
    )


def _each(
    api: Images, names: Iterable[str], act: Callable[[Any], None]
) -> list[Any]:
    """Do something with each image; one that fails does not keep the others.

    :returns: the images with which it went well
    """
    done = []
    for name in names:
        try:
            image = api.find(name)
            act(image)
        except sdk_exceptions.SDKException as error:
            LOG.error('%s: %s', name, error)
        else:
            done.append(image)
    return done


def _check(failed: int, of: int, what: str) -> None:
    """End with an error if anything has failed.

    :raises CommandError: which the command turns into exit status 1
    """
    if failed:
        raise exceptions.CommandError(f'{failed} of {of} images {what}.')


def _wait(cmd: Any, api: Images, images: list[Any], timeout: float) -> int:
    """Wait for the copies of these images; returns how many have failed."""
    with showing.shown(cmd.app.stdout, cmd.app.stderr) as shown:
        ended = waiting.follow(
            api, [copies.of(image) for image in images], timeout, shown
        )
    return sum(o is not copies.Outcome.READY for o in ended.values())


class ListRawCache(command.Lister):
    """List images that have a raw copy, or for which one is asked"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Arguments of the command."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            '--status',
            choices=copies.STATUSES,
            action='append',
            help='Only copies of this status; may be given several times',
        )
        parser.add_argument(
            '--visibility',
            choices=('all', 'private', 'shared', 'community', 'public'),
            help='Only images of this visibility (default: those that '
            '"openstack image list" shows)',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Row]]:
        """List them."""
        filters = {}
        if parsed_args.visibility:
            filters['visibility'] = parsed_args.visibility
        found = _images(self).all(**filters)
        headings = ('ID', 'Name', 'Copy Status', 'Progress', 'Size')
        return headings, (
            (
                copy.image_id,
                copy.name,
                copy.status or '',
                _Percent(copy.progress),
                _Size(copy.size),
            )
            for copy in found
            if not parsed_args.status or copy.status in parsed_args.status
        )


class ShowRawCache(command.ShowOne):
    """Show the raw copy of an image, and what its conversion said last"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Arguments of the command."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            'image', metavar='<image>', help='Image (name or ID)'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Show it."""
        api = _images(self)
        copy = copies.of(api.find(parsed_args.image))
        shown = {
            'id': copy.image_id,
            'name': copy.name,
            'image_status': copy.image_status,
            'disk_format': copy.disk_format,
            copies.WISH: copy.wish,
            copies.WEIGHT: copy.weight,
            copies.PROTECTED: copy.protected,
            copies.STATUS: copy.status,
            copies.PROGRESS: _Percent(copy.progress),
            copies.SIZE: _Size(copy.size),
            'message': api.message(copy.image_id),
        }
        return tuple(shown), tuple(shown.values())


class SetRawCache(command.Command):
    """Ask for raw copies of images"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Arguments of the command."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_images(parser)
        parser.add_argument(
            '--never',
            action='store_true',
            help='Ask for none, even where the cloud makes raw copies of all '
            'images; a copy that is there is deleted',
        )
        parser.add_argument(
            '--weight',
            metavar='<number>',
            type=int,
            help='How strongly clients shall prefer the copy to other '
            'locations of the image',
        )
        parser.add_argument(
            '--protected',
            action='store_true',
            help='Keep the copy when the cloud makes room for others',
        )
        parser.add_argument(
            '--wait',
            action='store_true',
            help='Wait until the copies are ready',
        )
        _add_timeout(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Ask, and perhaps wait."""
        if parsed_args.never and parsed_args.wait:
            raise exceptions.CommandError(
                '--wait waits for a copy, and --never asks for none.'
            )
        put = {copies.WISH: 'false' if parsed_args.never else 'true'}
        if parsed_args.weight is not None:
            put[copies.WEIGHT] = str(parsed_args.weight)
        if parsed_args.protected:
            put[copies.PROTECTED] = 'true'
        api = _images(self)
        names = parsed_args.images
        done = _each(api, names, lambda image: api.change(image, put))
        failed = len(names) - len(done)
        if parsed_args.wait:
            failed += _wait(self, api, done, parsed_args.timeout)
        _check(failed, len(names), 'failed')


class UnsetRawCache(command.Command):
    """Ask for raw copies no more; those that are there are deleted"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Arguments of the command."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_images(parser)
        parser.add_argument(
            '--weight',
            action='store_true',
            help="Go back to the cloud's own weight, and keep the copy",
        )
        parser.add_argument(
            '--protected',
            action='store_true',
            help='The cloud may evict the copy; it is kept until then',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Take properties away."""
        removed = set()
        if parsed_args.weight:
            removed.add(copies.WEIGHT)
        if parsed_args.protected:
            removed.add(copies.PROTECTED)
        if not removed:
            removed = {copies.WISH, copies.WEIGHT, copies.PROTECTED}
        api = _images(self)
        names = parsed_args.images
        done = _each(
            api,
            names,
            lambda image: api.change(image, {}, frozenset(removed)),
        )
        _check(len(names) - len(done), len(names), 'failed')


class WaitRawCache(command.Command):
    """Wait until the raw copies of images are ready"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Arguments of the command."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_images(parser)
        _add_timeout(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Wait."""
        api = _images(self)
        names = parsed_args.images
        found = _each(api, names, lambda _image: None)
        failed = len(names) - len(found)
        failed += _wait(self, api, found, parsed_args.timeout)
        _check(failed, len(names), 'have no raw copy that is ready')
