# SPDX-License-Identifier: Apache-2.0
"""ceph.conf and keyrings of the throw-away cluster, as text."""

from __future__ import annotations

import base64
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

# What an entity may do: the name of a daemon type to a capability,
# e.g. {"mon": "profile rbd", "osd": "profile rbd pool=images"}.
Caps = Mapping[str, str]

ADMIN: Caps = {
    'mon': 'allow *',
    'mgr': 'allow *',
    'osd': 'allow *',
    'mds': 'allow *',
}
# As cephadm and ceph-volume hand them out.
MGR: Caps = {'mon': 'allow profile mgr', 'osd': 'allow *', 'mds': 'allow *'}
OSD: Caps = {
    'mon': 'allow profile osd',
    'mgr': 'allow profile osd',
    'osd': 'allow *',
}

# Modules that the monitors do not insist on. Loading them takes the manager
# longer than everything else it does at start; missing ones are ignored.
IDLE_MODULES = (
    'alerts,cephadm,cli_api,dashboard,diskprediction_local,feedback,hello,'
    'influx,insights,iostat,k8sevents,localpool,mds_autoscaler,mirroring,'
    'nfs,osd_perf_query,osd_support,prometheus,restful,rgw,rook,selftest,'
    'smb,snap_schedule,stats,telegraf,test_orchestrator,zabbix'
)

FEATURES = 'layering,exclusive-lock,object-map,fast-diff,deep-flatten'

TEMPLATE = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{port}/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1

auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = {directory}/$cluster.$name.keyring

run dir = {directory}
pid file =
admin socket = {directory}/$name.$pid.asok
log file = {directory}/$name.log
mon cluster log file = {directory}/cluster.log
crash dir = {directory}

# one copy, on one daemon, is what is wanted here, and no reason to warn
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon allow pool delete = true
# in percent of the file system's space
mon data avail warn = 2
mon data avail crit = 1

# in seconds; an OSD that is paused for longer than 0.8 of it forgets that it
# may be read, and with a single OSD some PGs then stay "laggy" for ever
osd heartbeat grace = 600

# Ceph's own defaults, said here because the tests depend on them: a clone
# is of format 2 when require-min-compat-client is mimic or later, which it
# is here. A client chooses with 1 or 2.
rbd default features = {features}
rbd default clone format = auto

# in seconds; a lone monitor need not collect proposals from others for one
# second each, which is what made each step of the start take that long
paxos propose interval = 0.02
paxos min wait = 0.01
mon client hunt interval = 0.3
mon tick interval = 1
# in seconds; a quota takes effect only with the next report
mgr tick period = 1
mgr stats period = 1

[mon.a]
public addr = v2:127.0.0.1:{port}/0
mon data = {directory}/mon
keyring = {directory}/mon/keyring

[mgr]
mgr data = {directory}/mgr
mgr initial modules =
mgr disabled modules = {idle_modules}

[osd]
osd data = {directory}/osd
# in bytes; a sparse file, so this is a bound and not a cost
bluestore block size = {size}
bluestore block preallocate file = false
# in percent of free space; always below it, so that the smallest gap that
# fits is taken. Else the allocator moves on through the file, which grows
# with all that was ever written and never shrinks.
bluestore avl alloc bf free pct = 100
# in seconds; the OSD takes its file for a hard disk, and would wait so long
# between two objects of a removed snapshot or pool
osd snap trim sleep hdd = 0
osd delete sleep hdd = 0
# in bytes; 1 GiB
osd memory target = 1073741824
"""


def ceph_conf(directory: Path, fsid: str, port: int, size: int) -> str:
    """Return ceph.conf.

    :param directory: where everything of this cluster lies
    :param port: of the monitor
    :param size: of the only OSD, in bytes
    """
    return TEMPLATE.format(
        directory=directory,
        fsid=fsid,
        port=port,
        size=size,
        features=FEATURES,
        idle_modules=IDLE_MODULES,
    )


def new_key() -> str:
    """Return a new cephx secret.

    The layout is that of CryptoKey in Ceph's src/auth/Crypto.h, as
    ceph-authtool --gen-print-key prints it: type (1: AES), seconds and
    nanoseconds of its creation, length in bytes, secret.
    """
    header = struct.pack('<HIIH', 1, int(time.time()), 0, 16)
    return base64.b64encode(header + os.urandom(16)).decode()


def keyring_entry(entity: str, key: str, caps: Caps | None = None) -> str:
    """Return the lines of one entity in a keyring file."""
    lines = [f'[{entity}]', f'key = {key}']
    for daemon, cap in (caps or {}).items():
        lines.append(f'caps {daemon} = "{cap}"')
    return '\n'.join(lines) + '\n'


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text)
