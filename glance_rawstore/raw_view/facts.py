# SPDX-License-Identifier: Apache-2.0
"""What the raw view has to know of images: from Ceph, and from Glance."""

import dataclasses
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from oslo_config import cfg

from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import options
from glance_rawstore import opts
from glance_rawstore import stores
from glance_rawstore import wishes
from glance_rawstore.catalog import Catalog
from glance_rawstore.catalog import Image
from glance_rawstore.raw_view.copies import Window
from glance_rawstore.raw_view.representation import Copy
from glance_rawstore.raw_view.representation import Wish

#: Statuses of images that may still get a copy.
_HOPEFUL = frozenset({'queued', 'saving', 'uploading', 'importing', 'active'})


class Facts:
    """Looks things up; nothing is connected before the first question.

    :param conf: Glance's own configuration
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        opts.register(conf)
        self._conf = conf
        self._by_default = conf[opts.GROUP].raw_cache_default
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[Window, int]] | None = None
        self._catalog: Catalog | None = None

    @property
    def windows(self) -> dict[str, tuple[Window, int]]:
        """Every raw store's pool and usual weight, by the store's name."""
        with self._lock:
            if self._windows is None:
                found = {}
                for store in stores.raw_stores(stores.read(self._conf)):
                    chosen = options.Options.read(self._conf, store.name)
                    found[store.name] = Window(store, chosen), chosen.weight
                self._windows = found
            return self._windows

    @property
    def catalog(self) -> Catalog:
        """Glance's database."""
        with self._lock:
            if self._catalog is None:
                self._catalog = Catalog(self._conf)
            return self._catalog

    def image(self, image_id: str) -> Image | None:
        """What Glance has of an image; None when it is gone."""
        return self.catalog.image(image_id)

    def copies(
        self, images: Iterable[Mapping[str, Any]], trash: bool = False
    ) -> dict[str, list[Copy]]:
        """The copies of images, by image id.

        :param images: as Glance shows them
        :param trash: look for those in the trash as well
        """
        images = list(images)
        found: dict[str, list[Copy]] = {image['id']: [] for image in images}
        for window, usual in self.windows.values():
            weights = {image['id']: _weight(image, usual) for image in images}
            for image_id, copy in window.look(weights, trash):
                weight = weights[image_id]
                found[image_id].append(
                    dataclasses.replace(copy, weight=weight)
                )
        return found

    def copies_of(self, image: Image) -> list[Copy]:
        """The copies of an image that :meth:`image` has given."""
        # Last, as a property may be named so.
        shown = {**image.properties, 'id': image.image_id}
        return self.copies([shown])[image.image_id]

    def being_made(self, image_id: str) -> bool:
        """Whether a living worker makes a copy of this image now."""
        return any(
            window.being_made(image_id)
            for window, _usual in self.windows.values()
        )

    def wishes(self, images: Iterable[Mapping[str, Any]]) -> dict[str, Wish]:
        """What becomes of the wishes for copies that are not there.

        :param images: as Glance shows them
        """
        wanted = [image['id'] for image in images if self._is_wanted(image)]
        found = dict.fromkeys(wanted, Wish.STANDS)
        for window, _usual in self.windows.values() if wanted else ():
            evicted, failed = window.evicted(wanted), window.failed(wanted)
            if evicted is None or failed is None:
                return {}  # better to say nothing than what may be wrong
            found |= dict.fromkeys(evicted, Wish.EVICTED)
            # What was evicted, and could not be made again since.
            found |= dict.fromkeys(failed, Wish.FAILED)
        return found

    def used(
        self, image_id: str, copies: Iterable[Copy], consumer: str
    ) -> None:
        """Count that copies of an image were handed to a consumer."""
        for copy in copies:
            self.windows[copy.store][0].counter.used(image_id, consumer)

    def downloading(self, image: Image, consumer: str) -> None:
        """Note that a consumer begins to download an image's original.

        Of one that shall have a copy: of others none comes meanwhile.
        """
        shown = {
            **image.properties,
            'status': image.status,
            'disk_format': image.disk_format,
            'container_format': image.container_format,
        }
        if consumer and self._is_wanted(shown):
            for window, _usual in self.windows.values():
                window.downloading(image.image_id, consumer)

    def for_consumer(
        self, image_id: str, copies: list[Copy], consumer: str
    ) -> list[Copy]:
        """What a consumer may be shown: not what came while it downloads."""
        if not consumer or not any(copy.new for copy in copies):
            return copies
        windows = [window for window, _usual in self.windows.values()]
        if any(
            window.is_downloading(image_id, consumer) for window in windows
        ):
            return []
        return copies

    def asked(self, image_id: str) -> None:
        """Note that a consumer wants an image's copy, if it was evicted."""
        for window, _usual in self.windows.values():
            if window.evicted([image_id]):
                window.counter.asked(image_id)

    def _is_wanted(self, image: Mapping[str, Any]) -> bool:
        if not self.windows or image.get('status') not in _HOPEFUL:
            return False
        disk_format = image.get('disk_format')
        default = wishes.by_default(
            self._by_default, disk_format, image.get('container_format')
        )
        return disk_format not in formats.ALREADY_RAW and wishes.mentioned(
            _properties(image), default
        )


def _properties(image: Mapping[str, Any]) -> dict[str, str]:
    names = (wishes.PROPERTY, wishes.WEIGHT_PROPERTY)
    return {name: str(image[name]) for name in names if name in image}


def _weight(image: Mapping[str, Any], usual: int) -> int:
    try:
        return wishes.weight(_properties(image), usual)
    except exceptions.InvalidProperty:
        return usual
