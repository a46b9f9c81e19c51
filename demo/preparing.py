# SPDX-License-Identifier: Apache-2.0
"""The steps before there is an image: a cloud, and a disk that boots."""

from __future__ import annotations

import importlib.metadata
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from demo import bootsector
from demo.facts import size
from demo.play import FILE
from demo.play import Play

MIB = 1 << 20
#: Of the disk; a good part of it stays empty, as in any image for clouds.
DISK = 2048 * MIB
LABEL = 'rawstore-demo'
#: Files on it, in MiB: those that compress well, and those that do not.
LOGS, NOISE = 352, 160
_EACH = 32

_SHOW_OPTIONS = r"""
sed -n '/^enabled_b/p; /^image_import_plugins/p; /^\[raw/,/^$/p' \
    $OS_GLANCE_CONFIG_DIR/glance-api.conf""".lstrip()
_SHOW_FILTER = (
    "grep -E '^keystone =|raw_view\\]|raw_view:' \\\n"
    '    $OS_GLANCE_CONFIG_DIR/glance-api-paste.ini'
)


def start(play: Play) -> None:
    """Start Ceph, Keystone and Glance."""
    screen, stage, facts = play.screen, play.stage, play.facts
    screen.say(
        'Everything is real and runs on this machine alone, listening on '
        '127.0.0.1: Ceph with cephx, and Keystone and Glance under uWSGI.'
    )
    began = time.monotonic()
    with screen.working('Ceph: a monitor, a manager, an OSD'):
        stage.start_ceph()
    facts['ceph_start_seconds'] = time.monotonic() - began
    began = time.monotonic()
    with screen.working('Keystone and Glance, their databases in SQLite'):
        stage.start_cloud()
    facts['cloud_start_seconds'] = time.monotonic() - began
    _note_versions(play)
    screen.say(
        "All that Glance's configuration says about raw copies is this:"
    )
    play.admin.run(_SHOW_OPTIONS)
    screen.say(
        'And in the pipeline of its API stands a filter, by which Cinder and '
        'Nova find the copies:'
    )
    play.admin.run(_SHOW_FILTER)


def _note_versions(play: Play) -> None:
    told = subprocess.check_output(('qemu-img', '--version'), text=True)
    versions = {
        'Ceph': play.stage.cluster.ceph('version').split()[2],
        'Glance': importlib.metadata.version('glance'),
        'QEMU': told.split()[2],
    }
    for name, version in versions.items():
        play.facts[f'{name.lower()}_version'] = version
    play.facts['cpus'] = cpus = os.cpu_count()
    named = ', '.join(' '.join(pair) for pair in versions.items())
    play.screen.say(f'{named}, on {cpus} processors.')


def build_disk(play: Play) -> None:
    """Make the tenant's file."""
    screen, directory = play.screen, play.stage.directory
    you = play.stage.shell('you')
    screen.say(
        f'No image is downloaded, so one is made: a disk of {size(DISK)} with '
        'a boot program of our own in its first sector '
        '(demo/bootsector.py), and a partition with '
        f'{LOGS + NOISE} MiB of files.'
    )
    with screen.working('files of logs and of noise'):
        _write_files(directory / 'files')
    start = bootsector.PARTITION * bootsector.SECTOR
    you.run(f'truncate -s {DISK // MIB}M disk.raw')
    you.run(
        f'mkfs.ext4 -q -F -L {LABEL} -d files \\\n'
        f'    -E offset={start} disk.raw {(DISK - start) // 1024}k'
    )
    bootsector.install(directory / 'disk.raw')
    you.run(f'qemu-img convert -c -W -f raw -O qcow2 disk.raw {FILE}')
    you.run(f'qemu-img info {FILE}')
    (directory / 'disk.raw').unlink()
    shutil.rmtree(directory / 'files')
    play.facts['image_file_bytes'] = (directory / FILE).stat().st_size
    play.facts['image_virtual_bytes'] = DISK


def _write_files(directory: Path) -> None:
    """Files that differ from run to run in nothing."""
    directory.mkdir()
    chance = random.Random(0)
    for number in range(LOGS // _EACH):
        lines = _log(chance)
        times = _EACH * MIB // len(lines)
        (directory / f'log.{number}').write_bytes(lines * times)
    for number in range(NOISE // _EACH):
        noise = chance.randbytes(_EACH * MIB)
        (directory / f'noise.{number}').write_bytes(noise)


def _log(chance: random.Random) -> bytes:
    """About 1 MiB of a log."""
    return b''.join(
        b'%010d host-%d kernel: event %06x was handled\n'
        % (number * 7, number % 17, chance.getrandbits(24))
        for number in range(20000)
    )
