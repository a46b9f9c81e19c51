# SPDX-License-Identifier: Apache-2.0
import io

from glance_rawstoreclient import showing
from glance_rawstoreclient.copies import Copy
from glance_rawstoreclient.copies import Outcome


class Terminal(io.StringIO):
    def isatty(self):
        return True


def copy(progress=None, size=None, name='web'):
    return Copy('i', name, 'active', progress=progress, size=size)


def run(err, *percents, name='web'):
    out = io.StringIO()
    with showing.shown(out, err) as shown:
        for percent in percents:
            shown.update(copy(percent, name=name), 'pending')
        shown.trouble(copy(name=name), OSError('refused [x]'))
        ready = copy(100, 3 << 30, name=name)
        shown.end(ready, Outcome.READY, 'ready')
    return out.getvalue()


def test_a_pipe_gets_a_line_for_every_step():
    err = io.StringIO()

    assert run(err, 0, 3, 9, 17, 17, 95) == 'web: ready, 3.0 GiB\n'
    assert err.getvalue().splitlines() == [
        'web: pending, 0%',
        'web: pending, 10%',
        'web: pending, 90%',
        'web: refused [x]; trying again',
    ]


def test_a_failure_is_told_where_errors_go():
    out, err = io.StringIO(), io.StringIO()

    with showing.shown(out, err) as shown:
        shown.end(copy(), Outcome.FAILED, 'no')

    assert (out.getvalue(), err.getvalue()) == ('', 'web: no\n')


def test_a_terminal_gets_bars_and_then_what_became_of_them():
    err = Terminal()

    assert run(err, 0, 50) == ''
    assert 'web: ready, 3.0 GiB' in err.getvalue()


def test_a_name_is_shown_as_it_is():
    err = Terminal()

    run(err, 50, name='[red]web[/nothing]')

    assert '[red]web[/nothing]: ready' in err.getvalue()
