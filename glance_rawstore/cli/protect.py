# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore protect`` and ``unprotect``"""

import argparse
from collections.abc import Iterable
from typing import Any

from oslo_utils import strutils

from glance_rawstore import stores
from glance_rawstore import wishes
from glance_rawstore.cli import asking
from glance_rawstore.cli import choosing
from glance_rawstore.cli import outcomes
from glance_rawstore.cli import output
from glance_rawstore.cli import starting

_TEXTS = {
    'protect': (
        'never evict the copies of these images',
        'Set the property raw_cache_protected=true on images: their copies '
        'are never evicted. They still go with the image, with the wish for '
        'them, and by "glance-rawstore delete".',
    ),
    'unprotect': (
        'let the copies of these images be evicted again',
        'Take the property raw_cache_protected off images.',
    ),
}


def add_parser(commands: Any) -> None:
    """Add these commands to the parser."""
    for name, (line, text) in _TEXTS.items():
        parser: argparse.ArgumentParser = commands.add_parser(
            name, help=line, description=text
        )
        choosing.add_arguments(parser, 'every image that wishes for a copy')
        asking.add_dry_run(parser)
        output.add_format(parser)
        parser.set_defaults(run=run)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Protect or not; returns the exit status."""
    choosing.check(args)
    node = starting.node(args, store)
    told = outcomes.Outcomes(args.format)
    chosen = choosing.choose(
        args, lambda: _wished_for(node), node.catalog.image
    )
    told.each(chosen, lambda image_id: _protect(args, node, image_id))
    return told.end()


def _wished_for(node: Any) -> Iterable[str]:
    for image in node.catalog.all_images():
        default = wishes.by_default(
            node.options.by_default, image.disk_format, image.container_format
        )
        if wishes.mentioned(image.properties, default):
            yield image.image_id


def _protect(
    args: argparse.Namespace, node: Any, image_id: str
) -> outcomes.Outcome:
    image = node.catalog.existing(image_id)
    protect = args.command == 'protect'
    verb = f'{args.command}ed'
    name = wishes.PROTECTED_PROPERTY
    value = image.properties.get(name)
    if protect == strutils.bool_from_string(value):
        return outcomes.Outcome(image.image_id, verb, 'as it was')
    if args.dry_run:
        return outcomes.Outcome(image.image_id, f'to be {verb}')
    if protect:
        node.catalog.set_property(image.image_id, name, 'true')
    else:
        node.catalog.unset_property(image.image_id, name)
    return outcomes.Outcome(image.image_id, verb)
