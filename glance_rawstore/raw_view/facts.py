# SPDX-License-Identifier: Apache-2.0
"""What the raw view has to know of images: from Ceph, and from Glance."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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

#: Copies by image id.
_Found = dict[str, list[Copy]]


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
        found = self.look([image['id'] for image in images], trash)
        return self.weighed(images, found)

    def look(self, image_ids: Collection[str], trash: bool = False) -> _Found:
        """The same, before it is known what weight each image gives them."""
        found: _Found = {image_id: [] for image_id in image_ids}
        for window, _usual in self.windows.values():
            for image_id, copy in window.look(image_ids, trash):
                found[image_id].append(copy)
        return found

    @contextlib.contextmanager
    def looking(self, image_id: str) -> Iterator[Callable[[], _Found]]:
        """Begin to look one image's copies up for a tenant.

        :returns: context manager of what does the rest of :meth:`look`
        """
        with contextlib.ExitStack() as stack:
            looks = [
                stack.enter_context(window.looking(image_id))
                for window, _usual in self.windows.values()
            ]
            yield lambda: {image_id: [c for look in looks for _, c in look()]}

    def weighed(
        self,
        images: Iterable[Mapping[str, Any]],
        found: Mapping[str, Iterable[Copy]],
    ) -> dict[str, list[Copy]]:
        """Copies that were found of images, with their weights."""
        return {
            image['id']: [
                dataclasses.replace(
                    copy, weight=_weight(image, self.windows[copy.store][1])
                )
                for copy in found[image['id']]
            ]
            for image in images
        }

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
            failed = window.failed(wanted)
            if failed is None:
                return {}  # better to say nothing than what may be wrong
            found |= dict.fromkeys(failed, Wish.FAILED)
        return found

    def _is_wanted(self, image: Mapping[str, Any]) -> bool:
        if not self.windows or image.get('status') not in _HOPEFUL:
            return False
        disk_format = image.get('disk_format')
        default = self._by_default and formats.convertible(
            disk_format, image.get('container_format')
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
