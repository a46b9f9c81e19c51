# SPDX-License-Identifier: Apache-2.0
"""Disk formats: declared ones, and those that bytes begin like. Core.

Uses oslo.utils besides ourselves.
"""

import re

from oslo_utils import units
from oslo_utils.imageutils import format_inspector

from glance_rawstore import exceptions

#: Glance disk formats that are converted -> the qemu block driver.
CONVERTIBLE = {
    'qcow2': 'qcow2',
    'vmdk': 'vmdk',
    'vdi': 'vdi',
    'vhd': 'vpc',
    'vhdx': 'vhdx',
}

#: Glance disk formats whose bytes are what a guest sees: nothing to convert.
ALREADY_RAW = frozenset({'raw', 'iso', 'ami', 'ari', 'aki'})

#: First bytes of formats that are not converted but, like all convertible
#: ones, must not show up inside a raw copy: a consumer that probes would
#: follow their backing files (CVE-2024-40767).
_NESTED_MAGIC = {b'QED\0': 'qed', b'COWD': 'vmdk'}

#: First bytes that are enough to tell a format; read at once.
CHUNK = 64 * units.Ki


def check_formats(disk_format: str | None, container: str | None) -> str:
    """Refuse what is not convertible by its declared formats.

    :returns: the disk format
    :raises UnsupportedFormat: naming what is supported
    """
    if container != 'bare':
        raise exceptions.UnsupportedFormat(
            f'Container format {container} is not supported for raw copies; '
            'only bare is.'
        )
    if disk_format not in CONVERTIBLE:
        known = ', '.join(sorted(CONVERTIBLE))
        raise exceptions.UnsupportedFormat(
            f'Disk format {disk_format} is not supported for raw copies; '
            f'supported are {known}.'
        )
    return disk_format


def convertible(disk_format: str | None, container: str | None) -> bool:
    """Whether an image is convertible by its declared formats."""
    return container == 'bare' and disk_format in CONVERTIBLE


def inspector(name: str) -> format_inspector.FileInspector:
    """A new inspector for a disk format, as Glance names it.

    :raises UnsupportedFormat: oslo.utils has none for it
    """
    found = format_inspector.get_inspector(name)
    if found is None:
        raise exceptions.UnsupportedFormat(
            f'No safety checks exist for disk format {name}.'
        )
    return found()


def detect(head: bytes) -> str | None:
    """Name the convertible format of which these are the first bytes.

    :param head: at least 512 bytes, unless the image is smaller
    :returns: a key of :data:`CONVERTIBLE`, or None
    """
    for name in CONVERTIBLE:
        candidate = inspector(name)
        try:
            candidate.eat_chunk(head)
            if candidate.format_match:
                return name
        except Exception:  # noqa: S112 - a parser that breaks does not match
            continue
    return None


def nested(head: bytes) -> str | None:
    """Name the format that a guest's disk begins like.

    :param head: the disk's first :data:`CHUNK` bytes
    :returns: None unless a consumer that probes would open it as such
    """
    found = detect(head) or _NESTED_MAGIC.get(head[:4])
    if found is None and _looks_like_vmdk(head):
        return 'vmdk'
    return found


def _looks_like_vmdk(head: bytes) -> bool:
    """What qemu's ``vmdk_probe`` takes for a VMDK, and oslo.utils does not.

    Comments and empty lines, and then a line with the version.
    """
    if head.startswith(b'KDMV'):
        return True
    lines = head.split(b'\n') if head.startswith(b'#') else []
    for line in lines:
        stripped = line.strip(b' \r')
        if stripped and not stripped.startswith(b'#'):
            return re.match(rb'version=[123](\D|$)', stripped) is not None
    return False
