# SPDX-License-Identifier: Apache-2.0
"""The steps in their order, and what is said when one fails."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fixtures

from demo import cloning
from demo import importing
from demo import preparing
from demo import removing
from demo import viewing
from demo.checks import Unexpected
from demo.facts import Facts
from demo.keeping import keep_up
from demo.play import Play
from demo.screen import Screen
from demo.stage import Stage
from tests.cluster import ProcessError

STEPS: tuple[tuple[str, Callable[[Play], None]], ...] = (
    ('A cluster and a cloud', preparing.start),
    ('A disk that boots, as a compressed qcow2', preparing.build_disk),
    ('Alice imports it', importing.import_image),
    ('The raw copy appears', importing.watch),
    ('What there is now', importing.look),
    ('What Alice is shown, and what Cinder is', viewing.look_twice),
    ('The download is the original', importing.download),
    ('A clone in no time, and a guest that boots', cloning.clone_and_boot),
    ('Alice deletes the image', removing.delete_image),
    ('The last clone goes, and the raw copy with it', removing.delete_clone),
)

#: Lines of Glance's log that are shown when a step fails.
_TAIL = 40


def tell(facts_file: Path | None, keep: bool) -> int:
    """Tell all of it; returns the exit code.

    :param facts_file: where to write the facts that were measured
    :param keep: leave the cloud up until the user has seen enough
    """
    screen = Screen(len(STEPS) + 1)
    began = time.monotonic()
    screen.title('glance-rawstore: a raw copy of a qcow2, ready to clone')
    with Stage(screen) as stage:
        play = Play(screen, stage)
        played = _play(play)
        if played:
            play.facts['total_seconds'] = time.monotonic() - began
            _sum_up(screen, play.facts, facts_file)
        if keep:
            keep_up(play)
    if played:
        screen.checked('All was as said, and nothing of it is left.')
    return 0 if played else 1


def _play(play: Play) -> bool:
    """Play every step; tells what went wrong and returns whether none did."""
    for words, step in STEPS:
        play.screen.step(words)
        try:
            step(play)
        except (Unexpected, ProcessError) as error:
            _explain(play, str(error))
        except fixtures.MultipleExceptions as several:
            # what went wrong, and what fixtures notes about it
            errors = (error for _, error, _ in several.args)
            known = [e for e in errors if isinstance(e, ProcessError)]
            if not known:
                raise
            _explain(play, '\n'.join(map(str, known)))
        else:
            continue
        return False
    return True


def _explain(play: Play, reason: str) -> None:
    """Say why the story ends here, and keep Glance's log."""
    screen, log = play.screen, play.stage.log()
    screen.failure(f'The demo failed in {screen.where}. {reason}')
    if not log:
        return
    handle, name = tempfile.mkstemp('.log', 'glance-rawstore-demo-failed-')
    with os.fdopen(handle, 'w') as file:
        file.write(log)
    screen.line()
    screen.line(f"The last of Glance's log (all of it: {name}):", 'bold')
    for line in log.splitlines()[-_TAIL:]:
        screen.output(line)


def _sum_up(screen: Screen, facts: Facts, facts_file: Path | None) -> None:
    screen.step('What was measured')
    facts.show(screen)
    if facts_file is not None:
        facts.write(facts_file)
        screen.say(f'The same for a program: {facts_file}')
