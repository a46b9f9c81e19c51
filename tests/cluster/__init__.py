# SPDX-License-Identifier: Apache-2.0
"""A throw-away Ceph on this machine: one mon, one mgr, one OSD.

pifpaf's own Ceph driver has no cephx and waits for its health for ever; this
one has users with capabilities, and a deadline on every wait. It starts in
about 5 s and needs neither root nor any configuration.

As a fixture::

    with Cluster() as cluster:
        cluster.create_pool("images")
        cluster.user("glance", {"mon": "profile rbd", "osd": "profile rbd"})

As a command: see tests/cluster/__main__.py.
"""

from __future__ import annotations

import json
import signal
import uuid
from pathlib import Path
from typing import Any

import pifpaf.drivers
import rados
import rbd

from tests.cluster import config
from tests.cluster import pool
from tests.processes import Daemon
from tests.processes import ProcessError
from tests.processes import free_port
from tests.processes import is_listening
from tests.processes import run
from tests.waiting import DEADLINE

__all__ = ['Cluster', 'ProcessError']

GIB = 1 << 30


class Cluster(pifpaf.drivers.Driver):
    """A Ceph cluster with cephx that lives as long as the fixture.

    While it is up, CEPH_CONF in this process's environment names its
    ceph.conf, as with pifpaf's driver.
    """

    def __init__(self, size: int = 60 * GIB, **kwargs: Any) -> None:
        """Make a cluster that is not running yet.

        :param size: of the OSD, in bytes; its file is sparse
        :param kwargs: of pifpaf's Driver, e.g. tmp_rootdir
        """
        super().__init__(**{'env_prefix': 'CLUSTER', **kwargs})
        self.size = size
        self.fsid = str(uuid.uuid4())

    # The start ------------------------------------------------------------

    def _setUp(self) -> None:
        super()._setUp()
        self.directory = Path(self.tempdir)
        self.port = free_port()
        keys = self._write_config()
        self.putenv('CEPH_CONF', str(self.conf), raw=True)
        self._start_mon(keys)
        # Making the OSD's store takes longest, so the manager starts while
        # that runs.
        mkfs = self._daemon('osd', '0', '--mkfs', '--osd-uuid', self.fsid)
        mgr = self._daemon('mgr', 'x')
        self._mon_command('osd new', uuid=self.fsid, id=0)
        self._mon_command(
            'osd crush add', id=0, weight=1.0, args=['root=default']
        )
        # so that clones are of format 2 unless a client wants the first
        self._mon_command('osd set-require-min-compat-client', version='mimic')
        if mkfs.wait(DEADLINE) != 0:
            raise ProcessError(f'ceph-osd --mkfs failed\n{mkfs.tail()}')
        self._osd = self._daemon('osd', '0')
        self._osd.wait_until(self._osd_is_up, DEADLINE)
        mgr.wait_until(self._space_is_known, DEADLINE)

    @property
    def conf(self) -> Path:
        """ceph.conf, for the daemons and for every user."""
        return self.directory / 'ceph.conf'

    def _write_config(self) -> str:
        """Write ceph.conf and keyrings; return the monitor's keyring."""
        for daemon in ('mon', 'mgr', 'osd'):
            (self.directory / daemon).mkdir()
        self.conf.write_text(
            config.ceph_conf(self.directory, self.fsid, self.port, self.size)
        )
        keys = config.keyring_entry('mon.', config.new_key(), config.ADMIN)
        for entity, caps in (
            ('client.admin', config.ADMIN),
            ('mgr.x', config.MGR),
            ('osd.0', config.OSD),
        ):
            entry = config.keyring_entry(entity, config.new_key(), caps)
            config.write_private(self._keyring(entity), entry)
            keys += entry
        return keys

    def _keyring(self, entity: str) -> Path:
        return self.directory / f'ceph.{entity}.keyring'

    def _start_mon(self, keys: str) -> None:
        """Start the monitor with these keys and connect to it."""
        seed = self.directory / 'seed.keyring'
        config.write_private(seed, keys)
        mkfs = ['ceph-mon', '-c', str(self.conf), '-i', 'a', '--mkfs']
        run([*mkfs, '--keyring', str(seed)], DEADLINE)
        seed.rename(self.directory / 'mon' / 'keyring')
        self._mon = self._daemon('mon', 'a')
        self._mon.wait_until(lambda: is_listening(self.port), DEADLINE)
        self._admin = self.connect()
        self.addCleanup(self._admin.shutdown)

    def _daemon(self, kind: str, name: str, *arguments: str) -> Daemon:
        command = [f'ceph-{kind}', '-c', str(self.conf), '-f', '-i', name]
        daemon = Daemon(
            f'{kind}.{name}',
            [*command, *arguments],
            self.directory / f'{kind}.{name}.log',
        )
        # Its data goes too, so it need not end in good order: a manager
        # takes 5 s to do so.
        self.addCleanup(daemon.kill)
        return daemon

    def _osd_is_up(self) -> bool:
        return bool(self._mon_command('osd stat')['num_up_osds'])

    def _space_is_known(self) -> bool:
        return bool(self._mon_command('df')['stats']['total_bytes'])

    # Access ---------------------------------------------------------------

    def connect(self, user: str = 'admin') -> rados.Rados:
        """Return a connection as this user; close it with shutdown().

        :raises rados.Error: TimedOut if there is no answer from the monitor
            in time, PermissionDenied if it does not know the user
        """
        connection = rados.Rados(
            conffile=str(self.conf),
            rados_id=user,
            conf={
                'client_mount_timeout': str(int(DEADLINE)),
                'rados_mon_op_timeout': str(int(DEADLINE)),
            },
        )
        connection.connect()
        return connection

    def user(self, name: str, caps: config.Caps) -> Path:
        """Make client.NAME, or change what it may do.

        :param caps: e.g. {"mon": "profile rbd", "osd": "profile rbd"}
        :returns: its keyring, which is also found through ceph.conf
        """
        entity = f'client.{name}'
        [auth] = self._mon_command('auth get-or-create', entity=entity)
        pairs = [text for pair in caps.items() for text in pair]
        self._mon_command('auth caps', entity=entity, caps=pairs)
        keyring = self._keyring(entity)
        config.write_private(
            keyring, config.keyring_entry(entity, auth['key'])
        )
        return keyring

    def ceph(self, *arguments: str, timeout: float = DEADLINE) -> str:
        """Run ceph as administrator; return its stdout.

        :raises ProcessError: if it fails or takes longer, in seconds
        """
        return run(['ceph', '-c', str(self.conf), *arguments], timeout)

    def rbd(self, *arguments: str, timeout: float = DEADLINE) -> str:
        """Run rbd as administrator; return its stdout.

        :raises ProcessError: if it fails or takes longer, in seconds
        """
        return run(['rbd', '-c', str(self.conf), *arguments], timeout)

    def _mon_command(self, prefix: str, **arguments: Any) -> Any:
        """Ask the monitor, without starting a process as ceph does.

        :raises ProcessError: if it refuses
        """
        command = {'prefix': prefix, 'format': 'json', **arguments}
        code, answer, reason = self._admin.mon_command(
            json.dumps(command), b''
        )
        if code != 0:
            raise ProcessError(f'ceph {prefix} {arguments}: {code} {reason}')
        return json.loads(answer) if answer.strip() else None

    def operations(self) -> int:
        """How many operations of clients the OSD has served so far.

        :raises ProcessError: if it does not say
        """
        command = json.dumps({'prefix': 'perf dump', 'format': 'json'})
        code, answer, reason = self._admin.osd_command(0, command, b'')
        if code != 0:
            raise ProcessError(f'osd.0 perf dump: {code} {reason}')
        return int(json.loads(answer)['osd']['op'])

    @property
    def osd_pid(self) -> int:
        """Process id of the only OSD."""
        return self._osd.pid

    # Pools ----------------------------------------------------------------

    def create_pool(self, name: str) -> None:
        """Make a pool for RBD; nothing if there is one of this name."""
        self._mon_command('osd pool create', pool=name)
        # This connection may still know a deleted pool of this name.
        self._admin.wait_for_latest_osdmap()
        with self._admin.open_ioctx(name) as ioctx:
            rbd.RBD().pool_init(ioctx, True)

    def delete_pool(self, name: str) -> None:
        """Delete a pool and all that is in it; nothing if there is none."""
        self._mon_command(
            'osd pool delete',
            pool=name,
            pool2=name,
            yes_i_really_really_mean_it=True,
        )

    def set_quota(self, name: str, size: int) -> None:
        """Limit a pool to so many bytes; 0 means no limit.

        It takes effect with the manager's next reports, a few seconds later.
        """
        self._mon_command(
            'osd pool set-quota', pool=name, field='max_bytes', val=str(size)
        )

    def is_full(self, name: str) -> bool:
        """Tell whether a pool has reached its quota, and refuses data."""
        [pool] = [
            pool
            for pool in self._mon_command('osd dump')['pools']
            if pool['pool_name'] == name
        ]
        return 'full' in pool['flags_names'].split(',')

    def empty_pool(self, *names: str) -> None:
        """Make pools as new: no quota, and none of their content left."""
        for name in names:
            self.set_quota(name, 0)
            with self._admin.open_ioctx(name) as ioctx:
                pool.empty(ioctx)

    # Mishaps --------------------------------------------------------------

    def pause_osd(self) -> None:
        """Freeze the OSD: the cluster answers no reads or writes."""
        self._osd.signal(signal.SIGSTOP)

    def resume_osd(self) -> None:
        """Let a frozen OSD go on."""
        self._osd.signal(signal.SIGCONT)

    def kill_osd(self) -> None:
        """Kill the OSD, as the loss of its node would."""
        self._osd.kill()

    def restart_osd(self) -> None:
        """Start an OSD that was killed, and wait until it serves."""
        epoch = self._mon_command('osd dump')['epoch']
        self._osd = self._daemon('osd', '0')
        self._osd.wait_until(
            lambda: (
                self._osd_is_up()
                and self._mon_command('osd dump')['epoch'] > epoch
            ),
            DEADLINE,
        )

    def pause_mon(self) -> None:
        """Freeze the monitor: nobody can connect, or learn of a change."""
        self._mon.signal(signal.SIGSTOP)

    def resume_mon(self) -> None:
        """Let a frozen monitor go on."""
        self._mon.signal(signal.SIGCONT)
