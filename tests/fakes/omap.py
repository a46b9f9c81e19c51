# SPDX-License-Identifier: Apache-2.0
"""The objects by which librbd keeps its images, as their omaps read.

Of RBD's image format 2 (``cls_rbd.cc`` in Ceph); of a snapshot only the key
is as in Ceph, as nobody here reads what stands there.
"""

import struct

from tests.fakes import ceph

DIRECTORY = 'rbd_directory'
HEADER = 'rbd_header.'


def string(value: str) -> bytes:
    """A string as Ceph encodes it."""
    data = value.encode()
    return struct.pack('<I', len(data)) + data


def directory(pool: ceph.Pool) -> dict[str, bytes]:
    """Which images there are, but for those in the trash."""
    found = {}
    for name, image in pool.images.items():
        found[f'name_{name}'] = string(image.number)
        found[f'id_{image.number}'] = string(name)
    return found


def header(image: ceph.Image) -> dict[str, bytes]:
    """What an image is; its image-meta as it was given."""
    found = {
        'size': struct.pack('<Q', image.size),
        'features': struct.pack('<Q', image.features),
        'order': struct.pack('<B', image.order),
        'object_prefix': string(f'rbd_data.{image.number}'),
        'create_timestamp': struct.pack('<II', int(image.created), 0),
    }
    for key, value in image.meta.items():
        found[f'metadata_{key}'] = value.encode()
    for number in image.snapshots:
        found[f'snapshot_{number:016x}'] = b''
    return found


def meta(omap: dict[str, bytes]) -> dict[str, str]:
    """The image-meta that is written into a header."""
    assert all(key.startswith('metadata_') for key in omap), 'nothing else'
    return {
        key.removeprefix('metadata_'): value.decode()
        for key, value in omap.items()
    }
