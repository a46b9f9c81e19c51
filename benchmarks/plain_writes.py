# SPDX-License-Identifier: Apache-2.0
"""What the cluster alone costs its neighbours: writes that nobody converts.

As many bytes in a second as conversions write, by as many clients, in pieces
of the size that those of a compressed image have: a cluster of qcow2. They
give way as qemu-img does. Who is slower beside them waits for the OSD, and no
priority of ours would help him.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from benchmarks import bed
from benchmarks import contestants
from tests.processes import ProcessError

#: Bytes of each write, and of each image that is written, again and again.
PIECE, SIZE = 64 << 10, 4 << 30
#: Writes under way at once, of each client.
THREADS = 16


@contextlib.contextmanager
def running(stage: bed.Bed, clients: int, rate: float) -> Iterator[None]:
    """Write for as long as the context lasts.

    :param clients: how many processes write, each to an image of its own
    :param rate: of all of them together, in bytes/s
    :raises ProcessError: one of them has ended
    """
    with contextlib.ExitStack() as stack:
        writers = []
        for number in range(clients):
            target = contestants.create_target(stage, SIZE, f'plain-{number}')
            command = _command(stage, target, rate / clients)
            writer = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.DEVNULL)
            )
            stack.callback(writer.kill)
            writers.append(writer)
        yield
        if any(writer.poll() is not None for writer in writers):
            raise ProcessError('rbd bench has ended early')


def _command(stage: bed.Bed, target: str, rate: float) -> list[str]:
    return [
        *('nice', '-n', '19', 'rbd', '-c', str(stage.cluster.conf)),
        *('bench', target, '--io-type', 'write', '--io-pattern', 'seq'),
        *('--io-size', str(PIECE), '--io-threads', str(THREADS)),
        *('--io-total', str(100 * SIZE)),
        f'--rbd_qos_write_bps_limit={int(rate)}',
    ]
