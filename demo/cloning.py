# SPDX-License-Identifier: Apache-2.0
"""The step of Cinder and Nova: a clone, its bytes, and a boot from it."""

from __future__ import annotations

import json
import shutil

from demo import bootsector
from demo.facts import size
from demo.play import FILE
from demo.play import VOLUME
from demo.play import Play
from demo.preparing import LABEL

_MACHINE = 'qemu-system-x86_64'
_BOOT = f"""\
{_MACHINE} -m 64 -display none -vga none -nic none \\
    -monitor none -serial stdio \\
    -drive if=virtio,format=raw,file=rbd:{VOLUME}:id=cinder"""


def clone(play: Play) -> None:
    """Clone the raw copy, and compare the clone with the tenant's file."""
    play.screen.say(
        'What Cinder does for a volume from an image, and Nova for a disk: a '
        'copy-on-write clone of the location that Glance has told. The cephx '
        'user cinder may only read the pool of raw copies.'
    )
    cinder = play.cinder
    pool, name, snapshot = play.raw_url.split('/')[-3:]
    cinder.export('LOCATION', f'{pool}/{name}@{snapshot}')
    cloned = cinder.run(f'rbd --id cinder clone $LOCATION {VOLUME}')
    play.facts['clone_milliseconds'] = round(cloned.seconds * 1000, 1)
    cinder.run(f"rbd --id cinder info {VOLUME} | grep -E 'size|parent'")
    compared = cinder.run(
        f'qemu-img compare -f qcow2 -F raw {FILE} \\\n'
        f'    rbd:{VOLUME}:id=cinder'
    )
    play.facts['compare_seconds'] = compared.seconds
    play.expect(
        used(play) == 0,
        f'The whole rbd command took {cloned.seconds * 1000:.0f} ms, and the '
        'clone holds 0 bytes of its own.',
        used(play),
    )
    play.expect(
        'identical' in compared.output,
        "A guest reads from the clone, byte for byte, what is in Alice's "
        'file.',
        compared.output,
    )


def used(play: Play) -> int:
    """Bytes that the clone itself uses."""
    told = play.stage.cluster.rbd('du', '--format', 'json', VOLUME)
    return int(json.loads(told)['images'][0]['used_size'])


def can_boot() -> bool:
    """Tell whether there is something to boot with."""
    return shutil.which(_MACHINE) is not None


def boot(play: Play, times: int) -> None:
    """Boot from the clone, unless there is nothing to boot it with.

    :param times: how often it will then have been booted
    """
    if not can_boot():
        play.facts['boot_seconds'] = play.facts['clone_used_bytes'] = None
        play.screen.note(
            f'Not booted: there is no {_MACHINE} here '
            '(Debian package qemu-system-x86).'
        )
        return
    booted = play.cinder.run(_BOOT)
    counted = f'{bootsector.BOOTS.strip()} {times}'
    play.expect(
        bootsector.HELLO + LABEL in booted.output and counted in booted.output,
        'It boots, reads its disk and writes to it.',
        booted.output,
    )
    if times == 1:
        play.facts['boot_seconds'] = booted.seconds
        play.facts['clone_used_bytes'] = used(play)
        play.expect(
            0 < used(play) < 64 << 20,
            f'The clone now holds {size(used(play))} of its own, the RBD '
            'object that the guest wrote to; all else is read from the raw '
            'copy.',
            used(play),
        )


def clone_and_boot(play: Play) -> None:
    """All of the step."""
    clone(play)
    boot(play, times=1)
