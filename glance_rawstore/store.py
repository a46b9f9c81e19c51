# SPDX-License-Identifier: Apache-2.0
"""DOOR: the glance_store driver ``rawrbd``.

The only file that sees ``glance_store._drivers``, which is private; tested
with glance_store 5.7.0, and ``tests/upstream`` runs the driver's own tests
against this class.

Names decide: ``<image_id>_raw`` in our pool is a copy and treated as such;
everything else in the pool is an original and left to the parent.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any, ClassVar

from glance_store import capabilities
from glance_store import driver
from glance_store import exceptions as store_exceptions
from glance_store._drivers import rbd as rbd_driver

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import importing
from glance_rawstore import ingest
from glance_rawstore import options
from glance_rawstore import opts
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.eviction import loading
from glance_rawstore.lifecycle import raw_copy

#: glance_store looks for this name in the module of the driver.
StoreLocation = rbd_driver.StoreLocation


def _multi_backend_options() -> list[Any]:
    """Upstream's options of every store, with our default for ``weight``."""
    options = []
    for option in driver.Store.MULTI_BACKEND_OPTIONS:
        if option.dest == 'weight':
            option = copy.deepcopy(option)
            option.default = stores.DEFAULT_STORE_WEIGHT
        options.append(option)
    return options


class Store(rbd_driver.Store):  # type: ignore[misc]
    """Raw copies in a pool of their own, beside a store of originals."""

    OPTIONS: ClassVar = [*rbd_driver.Store.OPTIONS, *opts.STORE_OPTS]
    MULTI_BACKEND_OPTIONS: ClassVar = _multi_backend_options()

    def get_schemes(self) -> tuple[str, ...]:
        """URL schemes; glance_store also looks drivers up by their name."""
        return ('rbd', stores.DRIVER)

    def configure(self, re_raise_bsc: bool = False) -> None:
        """Configure as the parent does, after judging the whole set-up.

        Glance swallows ``BadStoreConfiguration`` from within the parent and
        would run on without ``add``; raised from here, it ends the start.

        :raises BadStoreConfiguration: saying what to change
        """
        try:
            self._check_setup()
        except exceptions.BadSetup as exc:
            raise store_exceptions.BadStoreConfiguration(
                store_name=self.backend_group, reason=str(exc)
            ) from exc
        super().configure(re_raise_bsc=re_raise_bsc)

    def _check_setup(self) -> None:
        backends = getattr(self.conf, 'enabled_backends', None)
        if not backends or self.backend_group not in backends:
            return
        for name, kind in backends.items():
            # A store that Glance creates after us has no weight yet.
            weights = Store if kind == stores.DRIVER else driver.Store
            self.conf.register_opts(weights.MULTI_BACKEND_OPTIONS, group=name)
        stores.check(
            self.backend_group,
            stores.read(self.conf),
            self.conf.glance_store.default_backend,
            stores.same_cluster,
        )
        chosen = options.Options.read(self.conf, self.backend_group)
        loading.load(chosen.eviction_policy, chosen.use_half_life)

    def _copy_of(self, location: Any) -> str | None:
        """Image id when the location is that of a copy, else None."""
        if location.pool not in (None, self.pool):
            return None
        return raw_copy.copy_of(location.image)

    @contextlib.contextmanager
    def _raw_pool(self) -> Iterator[raw_pool.RawPool]:
        with (
            self.get_connection(
                conffile=self.conf_file, rados_id=self.user
            ) as client,
            client.open_ioctx(self.pool) as ioctx,
        ):
            ioctx.set_osdmap_full_try()
            settings = ceph.Settings(self.conf_file, self.user, self.pool)
            yield raw_pool.RawPool(client, ioctx, settings)

    def get_size(self, location: Any, context: Any = None) -> int:
        """Size in bytes; of a copy, also while it is being made.

        :raises NotFound: it does not exist
        """
        image_id = self._copy_of(location.store_location)
        if image_id is None:
            size: int = super().get_size(location, context=context)
            return size
        try:
            with self._raw_pool() as pool:
                return pool.size(image_id)
        except exceptions.NotFound as exc:
            raise store_exceptions.NotFound(message=str(exc)) from exc

    @capabilities.check  # type: ignore[untyped-decorator]
    def get(
        self,
        location: Any,
        offset: int = 0,
        chunk_size: int | None = None,
        context: Any = None,
    ) -> Any:
        """Read an original; never a copy.

        A copy's bytes are not those of the image's checksum. Glance takes
        the next location after any error, which is the original's.

        :raises NotFound: it is a copy, or does not exist
        """
        if self._copy_of(location.store_location) is not None:
            raise store_exceptions.NotFound(
                message='A raw copy is not what was uploaded; the original '
                'is read from another store.'
            )
        return super().get(
            location, offset=offset, chunk_size=chunk_size, context=context
        )

    @driver.back_compat_add  # type: ignore[untyped-decorator]
    @capabilities.check  # type: ignore[untyped-decorator]
    def add(
        self,
        image_id: str,
        image_file: Any,
        image_size: int,
        hashing_algo: str,
        context: Any = None,
        verifier: Any = None,
    ) -> tuple[str, int, str, str, dict[str, Any]]:
        """Store the raw representation of an image.

        A known disk format is converted; other bytes are kept as they are,
        under the image's own name, and can be read again.

        :returns: (URL, size, checksum, multihash, metadata), all but the
            first and last of the bytes that came in
        :raises Duplicate: there is a copy already, or one being made
        :raises Invalid: the image is refused, or would be left without its
            original
        :raises StorageFull: the pool or the scratch directory is full
        """
        stream = ingest.Stream(image_file, hashing_algo, verifier)
        disk_format = formats.detect(stream.peek(formats.CHUNK))
        if disk_format is None or self.backend_group is None:
            stored: tuple[str, int, str, str, dict[str, Any]] = super().add(
                image_id,
                stream.unhashed(),
                image_size,
                hashing_algo,
                context=context,
                verifier=verifier,
            )
            return stored
        with ingest.translated(), self._raw_pool() as pool:
            imported = importing.nobodys(image_id)
            if context is not None:  # in Glance, then
                imported = importing.of(
                    self.conf, self.backend_group, image_id
                )
            return ingest.convert(
                pool,
                self.conf,
                self.backend_group,
                image_id,
                stream,
                disk_format,
                image_size,
                imported,
            )

    @capabilities.check  # type: ignore[untyped-decorator]
    def delete(self, location: Any, context: Any = None) -> None:
        """Delete an original or a copy, or cancel a copy being made.

        A copy with living clones goes to the trash, which counts as done:
        ``glance-rawstore reap`` removes it after its last clone.

        :raises NotFound: it does not exist
        :raises InUseByStore: something holds it so that not even the trash
            will take it
        """
        image_id = self._copy_of(location.store_location)
        if image_id is None:
            super().delete(location, context=context)
            return
        try:
            with self._raw_pool() as pool:
                gone = pool.delete(image_id)
        except exceptions.NotFound as exc:
            raise store_exceptions.NotFound(message=str(exc)) from exc
        except exceptions.RawStoreError as exc:
            raise store_exceptions.InUseByStore(message=str(exc)) from exc
        if context is not None and self.backend_group is not None:  # in Glance
            importing.tell_deleted(
                self.conf,
                self.backend_group,
                image_id,
                context,
                in_use=not gone,
            )
