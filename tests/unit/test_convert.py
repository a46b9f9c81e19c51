# SPDX-License-Identifier: Apache-2.0
"""How qemu-img is called and what its failures are called.

A script stands in for qemu-img here; test_convert_running.py has the real one.
"""

import json
import os
import shutil
import signal
import sys
import threading

import pytest

from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import nodes

GIB = 1 << 30
LIMITS = child.Limits(address_space=2 * GIB, cpu_time=77, stall=30)
SOURCE = nodes.source('qcow2', {'driver': 'file', 'filename': '/s'})
TARGET = {'driver': 'file', 'filename': '/t'}


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Put a script in the place of qemu-img, or another program."""

    def put(script, program='qemu-img'):
        path = tmp_path / 'bin' / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/bash\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setenv('PATH', f'{path.parent}:{os.environ["PATH"]}')

    return put


@pytest.fixture
def untried():
    """Whether SCHED_IDLE can be had is tried anew, now and afterwards."""
    child.may_idle.cache_clear()
    yield
    child.may_idle.cache_clear()


def run(stop=lambda: None, limits=LIMITS):
    convert.QemuImg(limits).convert(
        SOURCE, TARGET, 7, child.Callbacks(stop=stop)
    )


def test_every_call_names_format_and_protocol_and_is_limited(
    pretend, tmp_path
):
    log = tmp_path / 'log'
    pretend(
        f"""
        printf '%s\\t' "$@" $(ulimit -v) $(ulimit -t) $(ulimit -Ht) \
            $(ulimit -c) $LC_ALL >> {log}
        echo >> {log}
        if [[ $1 != convert ]]; then
            echo '{{"virtual-size": 1, "required": 1, "fully-allocated": 1}}'
        fi
        """
    )

    convert.QemuImg(LIMITS).info(SOURCE)
    run()

    calls = [line.split('\t')[:-1] for line in log.read_text().splitlines()]
    assert [call[0] for call in calls] == ['measure', 'info', 'convert']
    for call in calls:
        # KiB, seconds until SIGXCPU and until SIGKILL
        assert call[-5:] == [str(2 << 20), '77', '87', '0', 'C']
        (source,) = (arg for arg in call if arg.startswith('json:'))
        assert json.loads(source.removeprefix('json:')) == SOURCE
    assert '--target-image-opts' in calls[2]
    assert 'driver=raw,file.driver=file,file.filename=/t' in calls[2]
    assert calls[2][calls[2].index('-m') + 1] == '7'


@pytest.mark.parametrize(
    ('nice', 'io_class', 'expected'),
    [
        (0, None, ''),
        (19, ('--class', 'idle'), 'idle'),
        (
            7,
            ('--class', 'best-effort', '--classdata', '7'),
            'best-effort: prio 7',
        ),
    ],
)
def test_every_call_gives_way_as_far_as_told(
    pretend, tmp_path, nice, io_class, expected
):
    pretend(f'echo "$(nice) $(ionice)" > {tmp_path}/priorities')
    ours = os.nice(0)

    run(
        limits=child.Limits(2 * GIB, 77, 30, nice=nice, io_class=io_class),
    )

    found = (tmp_path / 'priorities').read_text().strip()
    # The tests may be run with a low priority themselves.
    assert found.split()[0] == str(min(ours + nice, 19))
    assert found.split(maxsplit=1)[1].startswith(expected)
    assert os.nice(0) == ours


@pytest.mark.parametrize(
    ('idle', 'refused', 'nice', 'policy'),
    [
        (True, False, 19, 'IDLE'),
        (True, True, 19, 'OTHER'),
        (True, True, 0, 'OTHER'),
        (False, False, 19, 'OTHER'),
    ],
)
def test_a_call_has_only_what_nobody_else_wants_where_that_can_be_had(
    pretend, tmp_path, untried, idle, refused, nice, policy
):
    chrt = shutil.which('chrt')
    pretend(f'{chrt} --pid $$ > {tmp_path}/policy; nice > {tmp_path}/nice')
    if refused:
        pretend('echo "chrt: failed to set policy" >&2; exit 1', 'chrt')
    ours = os.nice(0)

    run(limits=child.Limits(2 * GIB, 77, 30, nice=nice, idle=idle))

    assert f'SCHED_{policy}\n' in (tmp_path / 'policy').read_text()
    low = ours if policy == 'IDLE' else 19
    assert int((tmp_path / 'nice').read_text()) == low


@pytest.mark.usefixtures('untried')
def test_none_of_our_threads_gives_way(pretend, tmp_path, monkeypatch):
    """It would keep Python's lock from all others while it waits."""
    set_scheduler = []
    monkeypatch.setattr(
        os, 'sched_setscheduler', lambda *args: set_scheduler.append(args)
    )
    pretend(f'echo "$@" >> {tmp_path}/tried', 'chrt')

    assert child.may_idle()
    assert child.may_idle()

    assert set_scheduler == []
    assert (tmp_path / 'tried').read_text() == '--idle 0 true\n'


@pytest.mark.usefixtures('untried')
def test_where_there_is_no_chrt_it_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))

    assert not child.may_idle()


@pytest.mark.usefixtures('untried')
@pytest.mark.parametrize('program', ['chrt', 'qemu-img'])
def test_it_dies_with_us_whatever_it_is_put_behind(pretend, tmp_path, program):
    """From the start: what gives way may take long to go on to the next."""
    ask = (
        'import ctypes; found = ctypes.c_int();'
        'ctypes.CDLL(None).prctl(2, ctypes.byref(found), 0, 0, 0);'
        'print(found.value)'  # PR_GET_PDEATHSIG, prctl(2)
    )
    assert child.may_idle()
    pretend(f'exec {sys.executable} -c "{ask}" > {tmp_path}/told', program)
    io_class = ('--class', 'idle')
    idle = program == 'chrt'

    run(limits=child.Limits(4 * GIB, 77, 30, 19, idle, io_class))

    assert int((tmp_path / 'told').read_text()) == signal.SIGKILL


def test_who_may_not_set_a_priority_converts_with_his_own(pretend, tmp_path):
    """As ionice says of a class that the kernel refuses."""
    pretend(f'touch {tmp_path}/ran')

    run(limits=child.Limits(2 * GIB, 77, 30, io_class=('--class', '9')))

    assert (tmp_path / 'ran').exists()


@pytest.mark.parametrize(('given', 'before'), [(None, ''), ('--x', '--x ')])
def test_what_is_told_to_ceph_is_kept_and_writes_go_through(
    pretend, tmp_path, monkeypatch, given, before
):
    monkeypatch.delenv('CEPH_ARGS', raising=False)
    if given is not None:
        monkeypatch.setenv('CEPH_ARGS', given)
    pretend(f'printf "%s" "$CEPH_ARGS" > {tmp_path}/args')

    run()

    expected = f'{before}--rbd_cache_writethrough_until_flush=true'
    assert (tmp_path / 'args').read_text() == expected


@pytest.mark.parametrize(
    ('script', 'error', 'text'),
    [
        ('echo No space left on device >&2; exit 1', 'NoSpace', 'full'),
        ('echo Disk quota exceeded >&2; exit 1', 'NoSpace', 'full'),
        (
            'echo Cannot send after transport endpoint shutdown >&2; exit 1',
            'Blocklisted',
            'shut out',
        ),
        ('kill -XCPU $$', 'ConversionFailed', 'CPU time'),
        ('kill -KILL $$', 'ConversionFailed', 'was killed'),
        ('kill -ABRT $$', 'ConversionFailed', 'memory'),
        ('echo Cannot allocate memory >&2; exit 1', 'ConversionFailed', 'mem'),
        ('echo Input/output error >&2; exit 1', 'ConversionFailed', 'damaged'),
        ('kill -SEGV $$', 'ConversionFailed', 'damaged'),
        ('echo prlimit: not permitted >&2; exit 1', 'ConversionFailed', 'sta'),
        ('echo chrt: not permitted >&2; exit 1', 'ConversionFailed', 'start'),
        ('echo nice: not permitted >&2; exit 1', 'ConversionFailed', 'start'),
    ],
)
def test_a_failure_becomes_a_sentence(pretend, script, error, text):
    pretend(script)

    with pytest.raises(exceptions.ConversionFailed, match=text) as caught:
        run()

    assert type(caught.value) is getattr(exceptions, error)


def test_details_are_for_the_log_and_not_for_the_tenant(pretend, caplog):
    pretend('echo "cannot open images/secret at ceph.conf" >&2; exit 1')

    with pytest.raises(exceptions.ConversionFailed) as caught:
        run()

    assert 'secret' not in str(caught.value)
    assert 'images/secret' in caplog.text


def test_no_qemu_img_is_not_taken_for_a_damaged_image(tmp_path, monkeypatch):
    for name in ('prlimit', 'setpriv'):
        (tmp_path / name).symlink_to(shutil.which(name))
    monkeypatch.setenv('PATH', str(tmp_path))

    with pytest.raises(exceptions.ConversionFailed, match='be started'):
        run()


def test_progress_is_told_as_it_comes_and_only_forward(pretend):
    pretend(
        r"""
        for part in 0.00 10.00 10.00 5.00 99.50 100.00; do
            printf '    (%s/100%%)\r' $part
        done
        """
    )
    told = []

    convert.QemuImg(LIMITS).convert(
        SOURCE, TARGET, 1, child.Callbacks(progress=told.append)
    )

    assert told == sorted(set(told))
    assert told[-1] == 1.0


def test_progress_comes_before_the_end(pretend, tmp_path):
    go_on = tmp_path / 'go-on'
    os.mkfifo(go_on)
    pretend(f"printf '(25.00/100%%)\\r'; read -t 20 < {go_on}; exit $?")

    def tell(done):
        assert done == 0.25
        threading.Thread(target=go_on.write_text, args=('\n',)).start()

    convert.QemuImg(LIMITS).convert(
        SOURCE, TARGET, 1, child.Callbacks(progress=tell)
    )


def test_much_output_does_not_block(pretend):
    pretend('head -c 1000000 /dev/zero | tee /dev/stderr')

    run()


def test_an_end_of_its_own_is_not_taken_for_having_been_stopped(pretend):
    pretend('exit 0')

    run(stop=lambda: exceptions.Cancelled('too late'))


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_killed_child_is_a_failure(pretend, number):
    pretend(f'kill -{number.value} $$; read')

    with pytest.raises(exceptions.ConversionFailed):
        run()


def compare(stop=lambda: None):
    other = nodes.source('raw', TARGET)
    calls = child.Callbacks(stop=stop)
    return convert.QemuImg(LIMITS).compare(SOURCE, other, calls)


def test_a_comparison_can_be_stopped(pretend):
    pretend('exec sleep 60')
    why = exceptions.ImageDeleted()

    with pytest.raises(exceptions.ImageDeleted):
        compare(lambda: why)


@pytest.mark.parametrize(
    ('script', 'expected'),
    [
        (r"printf '(100.00/100%%)\rImages are identical.\n'", None),
        (
            r"printf '(1.00/100%%)\rContent mismatch at offset 77!\n'; exit 1",
            77,
        ),
    ],
)
def test_what_a_comparison_found_is_read_beside_its_progress(
    pretend, script, expected
):
    pretend(script)

    assert compare() == expected


@pytest.mark.parametrize('script', ['exit 0', 'exit 1', 'echo no; exit 2'])
def test_what_says_nothing_is_neither_same_nor_different(pretend, script):
    pretend(script)

    with pytest.raises(exceptions.ConversionFailed):
        compare()


def test_both_sides_of_a_comparison_are_named(pretend, tmp_path):
    log = tmp_path / 'log'
    pretend(f"""printf '%s\\n' "$@" > {log}; echo Images are identical.""")

    compare()

    command, flag, one, other = log.read_text().splitlines()
    assert (command, flag) == ('compare', '-p')
    assert json.loads(one.removeprefix('json:')) == SOURCE
    assert json.loads(other.removeprefix('json:'))['driver'] == 'raw'
