# SPDX-License-Identifier: Apache-2.0
"""Run keystone-manage db_sync and bootstrap in one process.

    python -P keystone_db.py KEYSTONE.CONF PASSWORD URL REGION

Importing Keystone takes most of the time of each (1.6 s of 2 s), hence once.
"""

from __future__ import annotations

import sys

from keystone.cmd import cli


def _manage(conf: str, *arguments: str) -> None:
    cli.main(['keystone-manage', '--config-file', conf, *arguments])
    # so that main() may register its options again
    cli.CONF.reset()


def main(conf: str, password: str, url: str, region: str) -> None:
    """Make the schema, the admin user, the roles and the identity service."""
    _manage(conf, 'db_sync')
    _manage(
        conf,
        'bootstrap',
        f'--bootstrap-password={password}',
        f'--bootstrap-public-url={url}',
        # where Glance's token validation looks
        f'--bootstrap-internal-url={url}',
        f'--bootstrap-region-id={region}',
    )


if __name__ == '__main__':
    main(*sys.argv[1:])
