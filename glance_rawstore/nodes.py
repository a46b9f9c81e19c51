# SPDX-License-Identifier: Apache-2.0
"""Block nodes: how qemu-img is told what to open, leaving nothing to guess.

Format and protocol are always named; a format that knows backing files is
told of none.
"""

import json
from typing import Any

#: Formats whose qemu driver knows backing files and must be told of none.
_COPY_ON_WRITE = frozenset({'qcow2', 'vmdk'})

Node = dict[str, Any]


def source(driver: str, protocol: Node) -> Node:
    """Block node of a source image: format over protocol, no backing file.

    :param driver: qemu's name of the format
    :param protocol: the protocol node below, with its own driver
    """
    node: Node = {'driver': driver, 'file': protocol, 'read-only': True}
    if driver in _COPY_ON_WRITE:
        node['backing'] = None
    return node


def rbd(
    pool: str,
    image: str,
    conf_file: str,
    user: str | None,
    snapshot: str | None = None,
) -> Node:
    """Protocol node of an RBD image."""
    node: Node = {'driver': 'rbd', 'pool': pool, 'image': image}
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
            escaped = str(value).replace(',', ',,')
            pairs.append(f'{prefix}{key}={escaped}')
    return ','.join(pairs)
