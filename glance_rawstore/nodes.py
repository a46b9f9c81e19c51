# SPDX-License-Identifier: Apache-2.0
"""Block nodes: how qemu-img is told what to open, leaving nothing to guess.

Format and protocol are always named; a format that knows backing files is
told of none.
"""

import json
from typing import Any

#: Formats whose qemu driver knows backing files and must be told of none.
_COPY_ON_WRITE = frozenset({'qcow2', 'vmdk'})

#: Bytes of a qcow2's L2 tables that are read at once: those of 512 MiB of the
#: disk. qemu's own 4 KiB are a read for each 32 MiB, one after the other,
#: which takes most of the time where data is scattered over a large disk.
_L2_ENTRY = 64 << 10
#: Bytes of L2 tables that are kept, whatever the size of the disk; qemu's own
#: are up to 32 MiB. A disk is read from beginning to end, so more is no use.
_L2_CACHE = 4 << 20

Node = dict[str, Any]


def source(
    driver: str, protocol: Node, cluster_size: int | None = None
) -> Node:
    """Block node of a source image: format over protocol, no backing file.

    :param driver: qemu's name of the format
    :param protocol: the protocol node below, with its own driver
    :param cluster_size: of a qcow2, in bytes; None where it is not known
    """
    node: Node = {'driver': driver, 'file': protocol, 'read-only': True}
    if driver in _COPY_ON_WRITE:
        node['backing'] = None
    if driver == 'qcow2' and cluster_size is not None:
        # qemu refuses one that is larger than a cluster
        node['l2-cache-entry-size'] = min(cluster_size, _L2_ENTRY)
        node['l2-cache-size'] = _L2_CACHE
    return node


def rbd(
    pool: str,
    image: str,
    conf_file: str,
    user: str | None,
    snapshot: str | None = None,
) -> Node:
    """Protocol node of an RBD image, without a cache.

    What is written is then in the OSDs when qemu-img counts it as written,
    and memory does not depend on what ceph.conf says of caches. It is no
    slower: nothing is read or written twice (see benchmarks/README.rst).
    """
    node: Node = {
        'driver': 'rbd',
        'pool': pool,
        'image': image,
        # qemu's block/rbd.c sets rbd_cache by it, above any ceph.conf
        'cache': {'direct': True},
    }
    optional = {'conf': conf_file, 'user': user, 'snapshot': snapshot}
    return node | {k: v for k, v in optional.items() if v}


def window(node: Node, offset: int, size: int) -> Node:
    """A part of a block node, in bytes, as a disk of its own.

    Both must be multiples of 512 (qemu's ``block/raw-format.c``).
    """
    return {'driver': 'raw', 'offset': offset, 'size': size, 'file': node}


def as_json(node: Node) -> str:
    """A node as a file name for qemu-img."""
    return 'json:' + json.dumps(node)


def as_options(node: Node, prefix: str = '') -> str:
    """A node as ``--target-image-opts`` wants it; commas are doubled."""
    pairs = []
    for key, value in node.items():
        if isinstance(value, dict):
            pairs.append(as_options(value, f'{prefix}{key}.'))
        else:
            pairs.append(f'{prefix}{key}={_escaped(value)}')
    return ','.join(pairs)


def _escaped(value: Any) -> str:
    if isinstance(value, bool):
        return 'on' if value else 'off'
    return str(value).replace(',', ',,')
