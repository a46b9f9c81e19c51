# SPDX-License-Identifier: Apache-2.0
"""Find an image's original and open it: in place in RBD, else spooled."""

import contextlib
import logging
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import rbd_image
from glance_rawstore import sources
from glance_rawstore import stores
from glance_rawstore import wording
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)

#: Told of an image without data.
MISPLACED = "The image's data is not where Glance says that it is."

_RBD_URL = re.compile('rbd://[^/]+/([^/]+)/([^/]+)/([^/]+)')

#: How often, and how many seconds apart, an image is looked at before it is
#: taken to stay.
_LOOKS = 10
_BETWEEN_LOOKS = 0.3

#: Seconds between two messages while spooling.
_TELL = 1.0


class Original:
    """An original that is open, and who of us has read it.

    :ivar readers: addresses in Ceph of our own qemu-img
    """

    def __init__(self, source: sources.Source) -> None:
        self.source = source
        self.readers: set[str] = set()
        self._others: set[str] = set()

    def note_others(self) -> None:
        """Look who has it open before we read it, and is not to be fenced."""
        self._others = self.source.watchers()

    def note_readers(self) -> None:
        """Look who reads it now, besides those who had it open before."""
        self.readers |= self.source.watchers() - self._others


def in_rbd(
    image: Image, all_stores: Mapping[str, stores.Store]
) -> tuple[ceph.Settings, str] | None:
    """Where the original lies in RBD, if it does.

    Only a location that Glance itself would have written counts: in the pool
    of the store that it names, under the image's own id. Anything else may
    have been written by a tenant, and is read through Glance or not at all.

    :returns: (settings of its store, snapshot), or None
    """
    for location in image.locations:
        # Metadata may be anything that a tenant has put there.
        store = all_stores.get(str(location['metadata'].get('store')))
        if store is None or store.settings is None:
            continue
        names = _names(location['url'])
        if names is None:
            continue
        pool, name, snapshot = names
        if pool == store.settings.pool and name == image.image_id:
            return store.settings, snapshot
    return None


def _names(url: str) -> tuple[str, str, str] | None:
    """Pool, image and snapshot of an RBD location, or None of another."""
    match = _RBD_URL.fullmatch(url)
    if match is None:
        return None
    pool, name, snapshot = map(urllib.parse.unquote, match.groups())
    return pool, name, snapshot


def _has_original(image: Image) -> bool:
    return any(
        not raw_copy.is_url(location['url'], image.image_id)
        for location in image.locations
    )


def repair(job: Job, image: Image, readers: set[str]) -> None:
    """Mend an original whose deletion failed because qemu-img read it.

    Glance's rbd driver removes the snapshot, then fails to remove the image
    as qemu has a watch on it, and answers 409: the image stays active, and
    cannot be read any more. Its data is still there; with the snapshot back
    it can be read, and deleted by trying again.

    :param readers: addresses of our own qemu-img, which was killed
    """
    found = in_rbd(image, job.all_stores)
    if found is None or not _stays(job, image):
        return
    settings, snapshot = found
    with (
        contextlib.suppress(exceptions.NotFound),
        ceph.connect(settings) as (client, ioctx),
        ceph.translated(),
    ):
        # The watch that a killed qemu-img has left would make Glance's next
        # deletion fail for 30 s, as above.
        with ceph.rbd.Image(ioctx, image.image_id, read_only=True) as original:
            rbd_image.fence(original, client, readers)
        with ceph.rbd.Image(ioctx, image.image_id) as original:
            rbd_image.protect(original, snapshot)


def _stays(job: Job, image: Image) -> bool:
    """Whether the image is still there when a deletion has had its time."""
    for _look in range(_LOOKS):
        if job.catalog.image(image.image_id) is None:
            return False
        if job.stop.wait(_BETWEEN_LOOKS):
            break
    return True


@contextlib.contextmanager
def open_original(
    job: Job, image: Image, tell: Callable[[str], None]
) -> Iterator[Original]:
    """Open the original for as long as the context lasts.

    :param tell: called with a sentence on how far the spooling is
    :raises NoSpace: not enough scratch space
    :raises ConversionFailed: the original cannot be read
    """
    if not _has_original(image):
        raise exceptions.ConversionFailed('The image has no data.')
    found = in_rbd(image, job.all_stores)
    if found is not None:
        settings, snapshot = found
        with contextlib.ExitStack() as opened:
            yield Original(_in_place(opened, settings, image, snapshot))
        return
    chunks = _told(job, image, tell)
    directory = job.options.scratch_dir
    with sources.spooled(directory, chunks, image.size) as spooled:
        yield Original(spooled)


def _in_place(
    opened: contextlib.ExitStack,
    settings: ceph.Settings,
    image: Image,
    snapshot: str,
) -> sources.RbdSource:
    source = sources.rbd_source(settings, image.image_id, snapshot)
    try:
        return opened.enter_context(source)
    except exceptions.NotFound as exc:
        raise exceptions.ConversionFailed(
            MISPLACED,
            f'no {settings.pool}/{image.image_id}@{snapshot} in Ceph',
        ) from exc


def _told(
    job: Job, image: Image, tell: Callable[[str], None]
) -> Iterable[bytes]:
    """The original's bytes; tells how far it is, stops when the job stops.

    More bytes than the image has are a fault of the store, and no reason to
    fill the scratch directory.
    """
    total, told_at, count = image.size, time.monotonic(), 0
    for chunk in job.catalog.data(image.image_id):
        count += len(chunk)
        if count > total:
            raise exceptions.ConversionFailed(
                'The image has more data than its size says.'
            )
        yield chunk
        if time.monotonic() - told_at >= _TELL:
            told_at = time.monotonic()
            job.wait(0)
            tell(
                f'Reading the image: {count / total:.0%} of '
                f'{wording.size(total)}'
            )
    if count < total:
        raise exceptions.ConversionFailed(
            'The image has less data than its size says.'
        )
