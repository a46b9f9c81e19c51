# SPDX-License-Identifier: Apache-2.0
"""Who downloads an original, in a raw pool in memory."""

from glance_rawstore import downloads
from glance_rawstore import omap
from tests.contract.downloads import NOW
from tests.contract.downloads import DownloadsContract


class TestDownloads(DownloadsContract):
    """In memory."""

    def test_what_is_something_else_is_removed(self, world):
        table = omap.Table(downloads.OBJECT)
        table.write(world.pool.ioctx, 'x', b'\xff')

        assert downloads.forget_old(world.pool.ioctx, NOW) == 1
