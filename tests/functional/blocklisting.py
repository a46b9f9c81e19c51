# SPDX-License-Identifier: Apache-2.0
"""Put clients on Ceph's blocklist, as operators and other workers do."""

import json
import subprocess
from collections.abc import Iterable

from tests.cloud import Cloud
from tests.functional.support import Pool

#: Seconds for which they stay on it; longer than any test.
_SECONDS = '1800'


def connected(cloud: Cloud) -> set[str]:
    """Addresses of all that is connected as the cloud's user of Ceph."""
    sessions = json.loads(cloud.cluster.ceph('tell', 'mon.a', 'sessions'))
    return {
        f'{address["addr"]}/{address["nonce"]}'
        for session in sessions
        if session['entity_name'] == f'client.{cloud.ceph_user}'
        for address in session['addrs']['addrvec']
    }


def holders(pool: Pool, key: str, lock: str) -> set[str]:
    """Addresses of those who hold a lock on an object of a pool.

    :param key: name of the object
    """
    conf, name = str(pool.settings.conf_file), pool.settings.pool
    command = ['rados', '-c', conf, '-p', name, 'lock', 'info', key, lock]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return {locker['addr'] for locker in json.loads(done.stdout)['lockers']}


def shut_out(cloud: Cloud, addresses: Iterable[str]) -> None:
    """Blocklist these clients; they are shut out when this returns."""
    for address in addresses:
        cloud.cluster.ceph('osd', 'blocklist', 'add', address, _SECONDS)
