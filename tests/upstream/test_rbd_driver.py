# SPDX-License-Identifier: Apache-2.0
"""glance_store's own tests of its rbd driver, run against ours.

The bytes of an image that was not converted are kept as the parent keeps
them, so what holds for the parent holds for us, but for the cases in SKIPPED.
The test cases are those of the installed glance_store: they ship with it.
"""

import sys
from unittest import mock

from glance_store._drivers import rbd as parent
from glance_store.tests.unit import test_multistore_rbd
from glance_store.tests.unit import test_rbd_store
from glance_store.tests.unit import test_rbd_store_base

from glance_rawstore import store

# Case, as Class.method, to why it cannot hold for our driver.
SKIPPED: dict[str, str] = {}

BINDINGS = ('rados', 'rbd')


class DriverModule:
    """Our driver's module, as upstream's tests expect to find theirs.

    What we do not define is the parent's. The tests put mocks in the place of
    the bindings and leave them there: here they reach every module that uses
    the bindings, and are taken out again.
    """

    def __init__(self, case):
        self.__dict__['_case'] = case

    def __getattr__(self, name):
        ours = name not in BINDINGS and hasattr(store, name)
        return getattr(store if ours else parent, name)

    def __setattr__(self, name, value):
        real = getattr(parent, name)
        for module in users_of(name, real):
            patcher = mock.patch.object(module, name, value)
            patcher.start()
            self._case.addCleanup(patcher.stop)


def users_of(name, real):
    """The modules, the parent's and ours, in which a name is this object."""
    return [
        module
        for module_name, module in list(sys.modules.items())
        if module is parent or module_name.startswith('glance_rawstore')
        if vars(module).get(name) is real
    ]


class OnOurDriver:
    """Mixed into a test case of upstream's, has it test our driver."""

    def setUp(self):
        reason = SKIPPED.get(f'{type(self).__name__}.{self._testMethodName}')
        if reason:
            self.skipTest(reason)
        ours = DriverModule(self)
        for module in (self.upstream, test_rbd_store_base):
            patcher = mock.patch.object(module, 'rbd_store', ours)
            patcher.start()
            self.addCleanup(patcher.stop)
        # Upstream's setUp puts them in too, but after making some stores.
        ours.rados = test_rbd_store_base.MockRados
        ours.rbd = test_rbd_store_base.MockRBD
        super().setUp()


class TestReSize(OnOurDriver, test_rbd_store.TestReSize):
    upstream = test_rbd_store


class TestStore(OnOurDriver, test_rbd_store.TestStore):
    upstream = test_rbd_store


class TestMultiStore(OnOurDriver, test_multistore_rbd.TestMultiStore):
    """Upstream's two stores are ours, beside one of originals.

    Ours refuse to be the default, and to share a pool.
    """

    upstream = test_multistore_rbd

    def config(self, **options):
        if 'enabled_backends' in options:
            ours = dict.fromkeys(options['enabled_backends'], 'rawrbd')
            options['enabled_backends'] = {**ours, 'originals': 'rbd'}
        if 'default_backend' in options:
            options['default_backend'] = 'originals'
            for backend in ('ceph2', 'originals'):
                super().config(rbd_store_pool=backend, group=backend)
        super().config(**options)


def test_every_skipped_case_still_exists_upstream():
    cases = {
        f'{case.__name__}.{name}'
        for case in (TestReSize, TestStore, TestMultiStore)
        for name in dir(case)
    }

    assert set(SKIPPED) <= cases
