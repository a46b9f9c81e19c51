# SPDX-License-Identifier: Apache-2.0
"""Who downloads an original, in any raw pool."""

from glance_rawstore import downloads

NOW = 1_000_000.0


class DownloadsContract:
    """Every node knows who has begun to, for a while."""

    def test_a_download_is_known_to_all_nodes(self, world):
        ioctx, other = world.pool.ioctx, world.other_node().ioctx
        assert not downloads.noted(other, 'one', 'req-1', NOW)

        downloads.note(ioctx, 'one', 'req-1', NOW)

        assert downloads.noted(other, 'one', 'req-1', NOW + 1)
        assert not downloads.noted(other, 'one', 'req-2', NOW + 1)
        assert not downloads.noted(other, 'two', 'req-1', NOW + 1)

    def test_it_is_known_for_a_while(self, world):
        ioctx = world.pool.ioctx
        downloads.note(ioctx, 'one', 'req-1', NOW)
        downloads.note(ioctx, 'two', 'req-1', NOW + 5)
        later = NOW + downloads.KEPT + 1

        assert not downloads.noted(ioctx, 'one', 'req-1', later)
        assert downloads.noted(ioctx, 'two', 'req-1', later)
        assert downloads.forget_old(ioctx, later) == 1
        assert downloads.forget_old(ioctx, later) == 0
        assert downloads.noted(ioctx, 'two', 'req-1', later)

    def test_whatever_a_consumer_calls_itself_is_a_short_key(self, world):
        name = 'req-' + '\N{SNOWMAN}/\0' * 1000
        downloads.note(world.pool.ioctx, 'one', name, NOW)

        assert downloads.noted(world.pool.ioctx, 'one', name, NOW)
