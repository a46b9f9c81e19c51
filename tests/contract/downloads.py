# SPDX-License-Identifier: Apache-2.0
"""What consumers were shown, in any raw pool."""

from glance_rawstore import downloads
from glance_rawstore.lifecycle import shown
from glance_rawstore.lifecycle.shown import Kind
from glance_rawstore.lifecycle.shown import Note

NOW = 1_000_000.0
DOWNLOADS = Note(Kind.DOWNLOADS)


def noted(pool, image_id, consumer, now=NOW + 1):
    return downloads.noted(pool.ioctx, image_id, consumer, now).note


class DownloadsContract:
    """Every node knows what was noted, for a while."""

    def test_what_is_noted_is_known_to_all_nodes(self, world):
        pool, other = world.pool, world.other_node()
        assert noted(other, 'one', 'req-1') is None

        downloads.note(pool.ioctx, 'one', 'req-1', DOWNLOADS, NOW)

        assert noted(other, 'one', 'req-1') == DOWNLOADS
        assert noted(other, 'one', 'req-2') is None
        assert noted(other, 'two', 'req-1') is None

    def test_the_last_note_counts(self, world):
        for note in (Note(Kind.RAW), Note(Kind.ORIGINAL, '12.5')):
            downloads.note(world.pool.ioctx, 'one', 'req-1', note, NOW)

            assert noted(world.pool, 'one', 'req-1') == note

    def test_it_is_known_for_a_while(self, world):
        pool = world.pool
        downloads.note(pool.ioctx, 'one', 'req-1', DOWNLOADS, NOW)
        downloads.note(pool.ioctx, 'two', 'req-1', DOWNLOADS, NOW + 5)
        later = NOW + shown.KEPT + 1

        assert noted(pool, 'one', 'req-1', later) is None
        assert noted(pool, 'two', 'req-1', later) == DOWNLOADS
        assert downloads.forget_old(pool.ioctx, later) == 1
        assert downloads.forget_old(pool.ioctx, later) == 0
        assert noted(pool, 'two', 'req-1', later) == DOWNLOADS

    def test_whatever_a_consumer_calls_itself_is_a_short_key(self, world):
        name = 'req-' + '\N{SNOWMAN}/\0' * 1000
        downloads.note(world.pool.ioctx, 'one', name, DOWNLOADS, NOW)

        assert noted(world.pool, 'one', name) == DOWNLOADS

    def test_what_is_noted_can_be_asked_ahead(self, world):
        ioctx = world.pool.ioctx
        downloads.note(ioctx, 'one', 'req-1', DOWNLOADS, NOW)
        begun = [
            downloads.begin_noted(ioctx, image_id, 'req-1', NOW)
            for image_id in ('one', 'two')
        ]

        assert [b.result().note for b in begun] == [DOWNLOADS, None]

    def test_nobody_notes_in_place_of_what_he_has_not_read(self, world):
        ioctx, other = world.pool.ioctx, world.other_node().ioctx
        raw, original = Note(Kind.RAW), Note(Kind.ORIGINAL, '12.5')

        def change(before, what):
            return downloads.note(ioctx, 'one', 'req-1', what, NOW, before)

        nothing = downloads.noted(ioctx, 'one', 'req-1', NOW)
        assert change(nothing, raw)
        assert not change(nothing, original)
        first = downloads.noted(ioctx, 'one', 'req-1', NOW)
        assert first.note == raw
        downloads.note(other, 'one', 'req-1', DOWNLOADS, NOW)

        assert not change(first, original)

        assert noted(world.pool, 'one', 'req-1') == DOWNLOADS

    def test_what_is_too_old_is_replaced(self, world):
        ioctx = world.pool.ioctx
        downloads.note(ioctx, 'one', 'req-1', DOWNLOADS, NOW)
        later = NOW + shown.KEPT + 1
        old = downloads.noted(ioctx, 'one', 'req-1', later)
        assert old.note is None

        new = Note(Kind.RAW)
        assert downloads.note(ioctx, 'one', 'req-1', new, later, old)

        assert noted(world.pool, 'one', 'req-1', later) == new
