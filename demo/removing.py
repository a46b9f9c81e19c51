# SPDX-License-Identifier: Apache-2.0
"""The last steps: the image goes, then its clone, then the raw copy."""

from __future__ import annotations

import glanceclient.exc

from demo.cloning import boot
from demo.cloning import can_boot
from demo.play import VOLUME
from demo.play import Play
from demo.stage import IMAGES
from demo.stage import RAW


def delete_image(play: Play) -> None:
    """Delete the image while there is a clone of its raw copy."""
    play.screen.say(
        'A clone of the raw copy does not keep Alice from deleting her image. '
        'The original goes at once; the raw copy waits in the RBD trash for '
        'as long as the clone needs it.'
    )
    deleted = play.alice.run('glance image-delete $IMAGE')
    play.facts['image_delete_seconds'] = deleted.seconds
    play.alice.run('glance image-show $IMAGE', may_fail=True)
    play.admin.run(f'rbd ls {IMAGES}')
    play.admin.run('glance-rawstore list')
    play.expect(_is_gone(play), 'Glance does not know the image any more.')
    play.expect(not _names(play, 'ls', IMAGES), 'Its original is gone.')
    [copy] = play.copies()
    play.expect(
        copy['status'] == 'pending_delete' and len(copy['children']) == 1,
        'Its raw copy is pending_delete, with one clone.',
        copy,
    )
    if can_boot():
        play.screen.say('The clone is as good as before:')
        boot(play, times=2)


def _is_gone(play: Play) -> bool:
    try:
        play.image()
    except glanceclient.exc.HTTPNotFound:
        return True
    return False


def _names(play: Play, *command: str) -> list[str]:
    told: str = play.stage.cluster.rbd(*command)
    return told.splitlines()


def delete_clone(play: Play) -> None:
    """Delete the clone, and reap the raw copy."""
    play.screen.say(
        'Once the last clone is gone, nothing needs the raw copy. '
        'glance-rawstore reap frees such copies; with --watch it goes on '
        'doing so.'
    )
    removed = play.cinder.run(f'rbd --id cinder rm --no-progress {VOLUME}')
    if 'Operation not permitted' in removed.output:
        play.screen.say(
            'The volume is gone. librbd would have tidied up in the pool of '
            'raw copies as well, which is not for the user cinder to do; '
            'reap does it.'
        )
    reaped = play.admin.run('glance-rawstore reap')
    play.facts['reap_seconds'] = reaped.seconds
    play.admin.run('glance-rawstore list')
    play.admin.run(f'rbd ls {RAW}; rbd trash ls --all {RAW}')
    play.expect(
        f'removed  {play.image_id}' in reaped.output,
        'The raw copy was removed.',
        reaped.output,
    )
    copies = play.copies()
    play.expect(not copies, 'No raw copy is listed.', copies)
    left = _names(play, 'ls', RAW) + _names(play, 'trash', 'ls', '--all', RAW)
    play.expect(
        not left, 'The pool and its trash are as empty as they were.', left
    )
