# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore agent``"""

import argparse
import logging
from typing import Any

from glance_rawstore import options
from glance_rawstore import opts
from glance_rawstore import stores
from glance_rawstore.cli import arguments
from glance_rawstore.cli import configuration


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'agent',
        help='close the gap between wishes and copies, for ever',
        description='Run until told to end by SIGTERM: reconcile every '
        'reconcile_interval, make the copies that are wanted, reap every '
        'reap_interval. Any number of nodes may run one beside glance-api. '
        'Logs to stderr.',
    )
    parser.add_argument(
        '--metrics-port',
        type=arguments.port,
        metavar='PORT',
        help='answer Prometheus at this TCP port instead of that of '
        'metrics_port; 0 for none',
    )
    parser.set_defaults(run=run, forever=True)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Run; ends by leaving the process."""
    from glance_rawstore.agent import node
    from glance_rawstore.agent import service

    logging.getLogger('glance_rawstore').setLevel(
        logging.DEBUG if args.debug else logging.INFO
    )
    conf = configuration.load(args.config_file)
    opts.register(conf)
    node.check(conf, store.name)
    if args.metrics_port is not None:
        conf.set_override('metrics_port', args.metrics_port, opts.GROUP)
    service.run(
        configuration.files(args.config_file),
        store,
        options.limits(conf, store.name),
        conf[opts.GROUP],
    )
    return 0
