# SPDX-License-Identifier: Apache-2.0
"""Disks in Ceph, as the tests look at them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import rbd

from tests.cluster import Cluster
from tests.processes import run

GIB = 1 << 30


def raw_copy(image_id: str) -> str:
    """What a clone of the raw copy of an image has for a parent."""
    return f'images_raw/{image_id}_raw@snap'


def holds(node: str, qcow2: Path) -> bool:
    """Whether a guest reads the same from raw bytes as from a qcow2.

    :param node: what qemu-img is told to open
    :raises ProcessError: it does not, and where they differ
    """
    compare = ['qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw']
    return 'identical' in run([*compare, str(qcow2), node])


class Disk:
    """An RBD image, seen with somebody's cephx user.

    :param path: pool/name
    """

    def __init__(self, cluster: Cluster, path: str, user: str) -> None:
        self._cluster = cluster
        self.path = path
        self.node = f'rbd:{path}:id={user}:conf={cluster.conf}'

    def parent(self) -> str | None:
        """What it is a copy-on-write clone of, as pool/name@snapshot."""
        info = self._cluster.rbd('info', '--format', 'json', self.path)
        parent = json.loads(info).get('parent')
        if parent is None:
            return None
        return '{pool}/{image}@{snapshot}'.format(**parent)

    def used(self) -> int:
        """Bytes of its own."""
        told = self._cluster.rbd('du', '--format', 'json', self.path)
        return int(json.loads(told)['images'][0]['used_size'])

    def holds(self, qcow2: Path) -> bool:
        """Whether a guest reads the same from it as from a qcow2.

        :raises ProcessError: it does not, and where they differ
        """
        return holds(self.node, qcow2)

    def sha512(self, directory: Path) -> str:
        """Digest of all its bytes, by way of a file in this directory."""
        path = directory / 'exported'
        self._cluster.rbd('export', '--no-progress', self.path, str(path))
        with path.open('rb') as file:
            digest = hashlib.file_digest(file, 'sha512').hexdigest()
        path.unlink()
        return digest


def clear(cluster: Cluster, pool: str) -> None:
    """Remove all disks from a pool, as their owner would."""
    client = cluster.connect()
    try:
        with client.open_ioctx(pool) as ioctx:
            for name in rbd.RBD().list(ioctx):
                _remove(ioctx, name)
    finally:
        client.shutdown()


def _remove(ioctx: Any, name: str) -> None:
    with rbd.Image(ioctx, name) as image:
        for snapshot in list(image.list_snaps()):
            if image.is_protected_snap(snapshot['name']):
                image.unprotect_snap(snapshot['name'])
            image.remove_snap(snapshot['name'])
    rbd.RBD().remove(ioctx, name)
