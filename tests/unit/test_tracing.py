# SPDX-License-Identifier: Apache-2.0
"""Whose request a log line is about."""

import logging
import threading

from oslo_context import context

from glance_rawstore import tracing
from glance_rawstore.cli import logs


def in_a_thread(do):
    found = []
    thread = threading.Thread(target=lambda: found.append(do()))
    thread.start()
    thread.join()
    return found[0]


def test_a_conversions_thread_carries_the_id_of_its_request():
    def convert():
        with tracing.logged_as('req-1'):
            # what oslo.log's formatter asks
            return tracing.request_id(), context.get_current().request_id

    assert in_a_thread(convert) == ('req-1', 'req-1')


def test_what_was_there_before_is_there_again():
    def convert():
        before = context.RequestContext(request_id='mine')
        with tracing.logged_as('req-1'):
            pass
        return context.get_current() is before

    assert in_a_thread(convert)


def test_what_a_thread_does_next_is_not_of_that_request():
    def convert():
        with tracing.logged_as('req-1'):
            pass
        return tracing.request_id()

    assert in_a_thread(convert) is None


def test_where_no_request_is_known_nothing_is_said():
    def convert():
        with tracing.logged_as(None):
            return tracing.request_id()

    assert in_a_thread(convert) is None


def test_the_context_that_glance_leaves_in_a_thread_is_no_request():
    def other():
        context.RequestContext(overwrite=True)
        return tracing.request_id()

    assert in_a_thread(other) is None


def test_the_command_line_logs_it():
    record = logging.LogRecord('x', 30, 'x', 1, 'text', (), None)

    def convert(request_id):
        with tracing.logged_as(request_id):
            logs._Request().filter(record)
        return record.request_id

    assert in_a_thread(lambda: convert('req-2')) == 'req-2'
    assert in_a_thread(lambda: convert(None)) == '-'
    assert in_a_thread(lambda: convert('\x1b[1A')) == r"'\x1b[1A'"


def test_new_ids_are_all_different_and_look_like_glances():
    one, two = tracing.new_request_id(), tracing.new_request_id()

    assert one != two
    assert one.startswith('req-')
