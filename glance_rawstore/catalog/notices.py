# SPDX-License-Identifier: Apache-2.0
"""Notifications about copies."""

from collections.abc import Callable, Mapping
from typing import Any

import glance.notifier
from glance.common import exception as glance_exception
from oslo_config import cfg

from glance_rawstore import tracing
from glance_rawstore.catalog.database import Database
from glance_rawstore.catalog.sender import SENDER
from glance_rawstore.lifecycle.events import Event


def _send(event: Event, payload: Callable[[], Mapping[str, Any]]) -> None:
    notify = SENDER.error if event is Event.ERROR else SENDER.info
    # Private, but what heeds disabled_notifications.
    glance.notifier._send_notification(notify, str(event), payload)


class Notices(Database):
    """What is told about copies to whoever listens."""

    def tell(
        self,
        event: Event,
        image_id: str,
        store: str,
        request_id: str | None = None,
        **facts: Any,
    ) -> None:
        """Notify; neither waits for anything nor fails.

        :param store: name of the raw store
        :param request_id: that of this thread's conversion unless given
        :param facts: what else there is to say: no location, and nothing of
            anybody but the image's owner
        """
        said = {
            'image_id': image_id,
            'store': store,
            'request_id': request_id or tracing.request_id(),
            **facts,
        }
        _send(event, lambda: self.with_owner(said))

    def with_owner(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The same, with the image's owner: of a deleted one as well."""
        try:
            found = self._db.image_get(
                self._context, said['image_id'], force_show_deleted=True
            )
        except glance_exception.NotFound:
            return {**said, 'owner': None}
        return {**said, 'owner': found['owner']}


def tell_deleted(conf: cfg.ConfigOpts, **said: Any) -> None:
    """Notify of a deletion; all of the work is done in the background.

    :param said: as for :meth:`Notices.tell`
    """
    _send(Event.DELETE, lambda: Notices(conf).with_owner(said))
