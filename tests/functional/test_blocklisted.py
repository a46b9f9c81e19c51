# SPDX-License-Identifier: Apache-2.0
"""Clients that Ceph has blocklisted: they connect anew, and nothing is lost.

By an operator (``ceph osd blocklist add``), or by a worker of ours that took
over. Such a connection is never of use again, whatever it is asked.
"""

import collections
import threading
import time
from pathlib import Path

from tests.cloud import Cloud
from tests.functional import blocklisting
from tests.functional import callers
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import sha512

#: Answers in a row after which every worker of an API has given one.
ROUND = 12
#: Bytes of the small image, as a guest sees it.
SIZE = 64 << 20


def shown(caller: callers.Caller, image_id: str) -> str:
    """The format that a service is shown, if it is told no mixture.

    Or that it must look again, as where nobody knows what is noted of it.
    """
    answer = caller.ask('GET', f'/{image_id}')
    if answer.status_code == 503:
        return 'neither'
    assert answer.status_code == 200, answer.text
    image = answer.json()
    raw = image['disk_format'] == 'raw'
    assert raw == (image['checksum'] is None)
    assert raw == (image['size'] == image['virtual_size'])
    assert raw == (f'{image_id}_raw' in str(image.get('direct_url')))
    return str(image['disk_format'])


def all_raw(caller: callers.Caller, image_id: str) -> bool:
    return {shown(caller, image_id) for _ in range(ROUND)} == {'raw'}


class Asking:
    """Services that go on asking for an image, and for its bytes."""

    def __init__(self, cloud: Cloud, image_id: str) -> None:
        self._image_id = image_id
        self._caller = callers.nova(cloud)
        self._stop = threading.Event()
        self.answers: list[str] = []
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def __enter__(self) -> 'Asking':
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(shown(self._caller, self._image_id))
            except Exception as exc:
                self.errors.append(repr(exc))
                return


def test_an_api_that_was_blocklisted_shows_copies_again_at_once(
    cloud: Cloud, small_image: Path
) -> None:
    """Idle, and while it is asked."""
    tenant, nova = Tenant(cloud), callers.nova(cloud)
    image_id = tenant.make_copy(small_image)
    await_true(lambda: all_raw(nova, image_id), 'all workers are connected')

    blocklisting.shut_out(cloud, blocklisting.connected(cloud))
    began = time.monotonic()
    await_true(lambda: all_raw(nova, image_id), 'all are again')
    print(f'all are again after {time.monotonic() - began:.1f} s')
    with Asking(cloud, image_id) as asking:
        await_true(lambda: len(asking.answers) >= ROUND, 'it is asked')
        blocklisting.shut_out(cloud, blocklisting.connected(cloud))
        since = len(asking.answers)
        await_true(
            lambda: asking.errors or len(asking.answers) >= since + ROUND,
            'it is asked on',
        )
    print(f'they were told {collections.Counter(asking.answers)}')
    assert asking.errors == []
    await_true(lambda: all_raw(nova, image_id), 'and all are again')
    await_true(lambda: given(nova, image_id) == SIZE, 'its bytes as well')
    assert tenant.download_sha512(image_id) == sha512(small_image)
    assert 'The raw store raw is connected to anew' in cloud.log()


def given(caller: callers.Caller, image_id: str) -> int | None:
    """How many bytes a service is given, if any."""
    answer = caller.ask('GET', f'/{image_id}/file')
    return len(answer.content) if answer.status_code == 200 else None
