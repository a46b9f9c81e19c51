# SPDX-License-Identifier: Apache-2.0
"""The import of Glance's within which an image is being stored.

An hour after the last message of its task, Glance takes an import's lock for
stale and lets another import break it (``_enforce_import_lock`` in
glance/api/v2/images.py); the one at work then fails when it is done. And an
image may be deleted while it is being stored.
"""

import logging
import time
from typing import Any

from oslo_config import cfg

from glance_rawstore import exceptions

LOG = logging.getLogger(__name__)

#: Seconds between two messages.
INTERVAL = 2.0


class Import:
    """An import, as what stores an image for it sees it.

    :param task_id: None when no import holds the image
    :param project: that owns the image

    :ivar catalog: Glance's side; None where there is no Glance
    """

    def __init__(
        self,
        catalog: Any,
        image_id: str,
        task_id: str | None,
        project: str = '',
    ) -> None:
        self.catalog = catalog
        self.project = project
        self._image_id = image_id
        self._task_id = task_id
        self._told_at = 0.0

    def tell(self, message: str, last: bool = False) -> None:
        """Set the task's message, unless one was set a moment ago.

        Fails nothing: at worst nobody is told.
        """
        now = time.monotonic()
        if self._task_id is None:
            return
        if now - self._told_at < INTERVAL and not last:
            return
        self._told_at = now
        try:
            self.catalog.report(self._task_id, message)
        except Exception as exc:
            LOG.warning('Progress could not be reported: %s', exc)

    def deleted(self) -> Exception | None:
        """A reason to stop, once the image is gone."""
        if self.catalog is None:
            return None
        try:
            found = self.catalog.image(self._image_id)
        except Exception as exc:
            LOG.info('Cannot tell whether an image is still there: %s', exc)
            return None
        return exceptions.ImageDeleted() if found is None else None


def nobodys(image_id: str) -> Import:
    """Storing that is part of no import, and of no Glance."""
    return Import(None, image_id, None)


def of(conf: cfg.ConfigOpts, store: str, image_id: str) -> Import:
    """The import that stores an image now.

    :param store: the raw store, which must not be the image's only one: a
        copy cannot be read as the image, so the upload would be lost
    :raises Refused: it is, naming what to do instead
    """
    # Glance's internals, which nobody but Glance itself has configured
    from glance_rawstore.catalog import Catalog

    catalog = Catalog(conf)
    image = catalog.image(image_id)
    if image is None:
        return nobodys(image_id)
    if any(loc['metadata'].get('store') != store for loc in image.locations):
        return Import(catalog, image_id, image.import_task, image.owner or '')
    raise exceptions.Refused(
        f'The store {store} keeps raw copies and cannot be the only store of '
        'an image: import into another store first, or name it before this '
        'one.'
    )


def tell_deleted(
    conf: cfg.ConfigOpts, store: str, image_id: str, context: Any, in_use: bool
) -> None:
    """Notify of a copy that was deleted; fails nothing.

    :param context: of the request that deletes it
    :param in_use: clones keep it in the trash
    """
    from glance_rawstore.catalog import notices

    try:
        notices.tell_deleted(
            conf,
            image_id=image_id,
            store=store,
            request_id=getattr(context, 'request_id', None),
            in_use=in_use,
        )
    except Exception as exc:
        LOG.warning('Nobody was notified of a deletion: %s', exc)
