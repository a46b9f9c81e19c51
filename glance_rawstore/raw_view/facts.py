# SPDX-License-Identifier: Apache-2.0
"""What the raw view has to know of images: from Ceph, and from Glance."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
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
from glance_rawstore.lifecycle.shown import Gone
from glance_rawstore.raw_view.ahead import Ahead
from glance_rawstore.raw_view.ahead import is_id
from glance_rawstore.raw_view.copies import Window
from glance_rawstore.raw_view.notes import Notes
from glance_rawstore.raw_view.representation import Copy
from glance_rawstore.raw_view.representation import Wish

#: Statuses of images that may still get a copy.
_HOPEFUL = frozenset({'queued', 'saving', 'uploading', 'importing', 'active'})


@dataclasses.dataclass(frozen=True)
class Seen:
    """What there is of an image in Ceph.

    :param away: None if all raw stores were seen; else for how many seconds
        one of them has been away, as far as this worker knows
    """

    copies: list[Copy]
    away: float | None = None


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

    def begin(self, image_id: str, fresh: bool) -> Ahead:
        """Begin to look for the copies of an image, whether there is one.

        :param image_id: as the request names it
        :param fresh: read what is remembered of an active copy as well
        """
        windows = self.windows.items() if is_id(image_id) else ()
        with contextlib.ExitStack() as stack:
            ahead = stack.enter_context(Ahead(image_id))
            for name, (window, _usual) in windows:
                look = window.begin(image_id, fresh)
                if look is not None:
                    ahead.looks[name] = look
            stack.pop_all()  # all of them have begun
        return ahead

    def copies(
        self,
        images: Iterable[Mapping[str, Any]],
        trash: bool = False,
        ahead: Ahead | None = None,
    ) -> dict[str, list[Copy]]:
        """The copies of images, by image id; none where Ceph is away.

        :param images: as Glance shows them
        :param trash: look for those in the trash as well
        :param ahead: what has begun already
        """
        return self._look(list(images), trash, ahead)[0]

    def seen(
        self, image: Mapping[str, Any], ahead: Ahead | None = None
    ) -> Seen:
        """The copies of one image, and whether all of them were seen.

        :param image: as Glance shows it
        :param ahead: what has begun already
        """
        copies, away = self._look([image], False, ahead)
        return Seen(copies[image['id']], away)

    def seen_of(self, image: Image, ahead: Ahead | None = None) -> Seen:
        """The same of an image that :meth:`image` has given."""
        # Last, as a property may be named so.
        return self.seen({**image.properties, 'id': image.image_id}, ahead)

    def _look(
        self,
        images: Sequence[Mapping[str, Any]],
        trash: bool,
        ahead: Ahead | None,
    ) -> tuple[dict[str, list[Copy]], float | None]:
        found: dict[str, list[Copy]] = {image['id']: [] for image in images}
        away: float | None = None
        for name, (window, usual) in self.windows.items():
            weights = {image['id']: _weight(image, usual) for image in images}
            begun = ahead.look(name, weights) if ahead is not None else None
            copies = window.look(weights, trash, begun)
            if copies is None:
                seconds = window.shared.away
                away = seconds if away is None else min(away, seconds)
            for image_id, copy in copies or ():
                weight = weights[image_id]
                found[image_id].append(
                    dataclasses.replace(copy, weight=weight)
                )
        return found, away

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

    def wanted(self, image: Image) -> bool:
        """Whether an image shall have a copy."""
        shown = {
            **image.properties,
            'status': image.status,
            'disk_format': image.disk_format,
            'container_format': image.container_format,
        }
        return self._is_wanted(shown)

    def why(self, image_id: str) -> tuple[list[str], list[Gone]] | None:
        """Why an image has no active copy.

        :returns: names of the stores from which it was evicted, and traces
            of the copies that have gone; None when no store answers
        """
        answers = {
            name: found
            for name, (window, _usual) in self.windows.items()
            if (found := window.why(image_id)) is not None
        }
        if self.windows and not answers:
            return None
        evictions = [n for n, (one, _) in answers.items() if one is not None]
        traces = [gone for _, gone in answers.values() if gone is not None]
        return evictions, traces

    @property
    def notes(self) -> Notes:
        """Of consumers: in the same pool for all workers."""
        return self.windows[min(self.windows)][0].notes

    def age(self, image_id: str) -> float | None:
        """For how long there has been an active copy, as far as remembered.

        :returns: in seconds; None where none was seen
        """
        known = (w.known(image_id) for w, _usual in self.windows.values())
        committed = [header.committed for header in known if header]
        return time.time() - min(committed) if committed else None

    def asked(self, image_id: str, names: Iterable[str]) -> None:
        """Note that a consumer wants an image's copy.

        :param names: of the stores from which it was evicted
        """
        for name in names:
            self.windows[name][0].counter.asked(image_id)

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
