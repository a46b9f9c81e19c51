# SPDX-License-Identifier: Apache-2.0
"""What was measured: names with units for programs, words for people.

demo/README.rst has the same table.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import humanize

from demo.screen import Screen

Value = float | int | str | None


def size(count: Value) -> str:
    """Bytes in words."""
    assert isinstance(count, int | float)
    return str(humanize.naturalsize(count, binary=True, format='%.1f'))


def _seconds(value: Value) -> str:
    return f'{value:.1f} s'


def _milliseconds(value: Value) -> str:
    return f'{value:.0f} ms'


def _as_is(value: Value) -> str:
    return str(value)


#: Every fact in the order of the closing table: its name, what it is, and how
#: its value is put for people.
FACTS: dict[str, tuple[str, Callable[[Value], str]]] = {
    'ceph_version': ('Ceph', _as_is),
    'glance_version': ('Glance', _as_is),
    'qemu_version': ('qemu-img', _as_is),
    'cpus': ('processors of this machine', _as_is),
    'ceph_start_seconds': ('Ceph is up after', _seconds),
    'cloud_start_seconds': ('Keystone and Glance are up after', _seconds),
    'image_file_bytes': ('the qcow2 file', size),
    'image_virtual_bytes': ('the disk in it, virtual size', size),
    'image_active_seconds': ('from command to image active', _seconds),
    'raw_active_seconds': ('from command to raw copy active', _seconds),
    'conversion_seconds': ('making the raw copy, as its task says', _seconds),
    'conversion_mib_per_second': (
        'guest data written to the raw copy',
        lambda value: f'{value:.0f} MiB/s',
    ),
    'raw_copy_used_bytes': ('the raw copy uses', size),
    'raw_view_seconds': ('from command to Cinder seeing it', _seconds),
    'tenant_get_milliseconds': ('GET of the image, by Alice', _milliseconds),
    'service_get_milliseconds': ('the same, by Cinder', _milliseconds),
    'clone_milliseconds': (
        'rbd clone of the raw copy',
        _milliseconds,
    ),
    'compare_seconds': ('reading and comparing all of the clone', _seconds),
    'boot_seconds': ('booting from the clone', _seconds),
    'clone_used_bytes': ('the booted clone uses', size),
    'image_delete_seconds': ('glance image-delete', _seconds),
    'reap_seconds': ('glance-rawstore reap', _seconds),
    'total_seconds': ('everything', _seconds),
}


class Facts:
    """What is known so far."""

    def __init__(self) -> None:
        self._known: dict[str, Value] = {}

    def __setitem__(self, name: str, value: Value) -> None:
        if name not in FACTS:
            raise KeyError(name)
        self._known[name] = round(value, 3) if type(value) is float else value

    def show(self, screen: Screen) -> None:
        """Print the table."""
        rows = [
            (words, 'skipped' if value is None else put(value))
            for name, (words, put) in FACTS.items()
            for value in [self._known[name]]
        ]
        screen.table(('measured here', 'value'), rows)

    def write(self, path: Path) -> None:
        """Write all of it as one JSON object."""
        ordered = {name: self._known[name] for name in FACTS}
        path.write_text(json.dumps(ordered, indent=2) + '\n')
