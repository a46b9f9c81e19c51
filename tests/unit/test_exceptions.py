# SPDX-License-Identifier: Apache-2.0
"""The error tree is as it is drawn, and says what a command returns."""

import inspect
import re

import pytest

from glance_rawstore import exceptions

CLASSES = {
    name: cls
    for name, cls in vars(exceptions).items()
    if inspect.isclass(cls) and issubclass(cls, Exception)
}


def drawn():
    """(class, its base) for each line of the tree in the docstring."""
    above = {}
    for line in exceptions.__doc__.splitlines():
        found = re.match(r'    ([|` -]*)([A-Z]\w+)( {2,}|$)', line)
        if found:
            depth = len(found[1]) // 4
            above[depth] = found[2]
            yield found[2], above.get(depth - 1)


def test_the_tree_is_as_it_is_drawn():
    real = {
        name: cls.__base__.__name__
        for name, cls in CLASSES.items()
        if cls is not exceptions.RawStoreError
    }

    assert dict(drawn()) == {'RawStoreError': None, **real}


@pytest.mark.parametrize('name', CLASSES)
def test_every_error_says_when_it_is_raised(name):
    first = CLASSES[name].__doc__.splitlines()[0]

    assert first.endswith('.')


def test_commands_return_what_their_help_says():
    """As cli/exit_status.py has it."""
    codes = {name: cls.exit_code for name, cls in CLASSES.items()}

    assert codes.pop('NotFound') == 3
    assert codes.pop('BadSetup') == 4
    assert codes.pop('WrongUsage') == 2
    assert set(codes.values()) == {1}


def test_an_unsafe_image_keeps_the_names_of_its_checks():
    error = exceptions.UnsafeImage('It is unsafe.', ('backing_file',))

    assert str(error) == 'It is unsafe.'
    assert error.checks == ('backing_file',)


@pytest.mark.parametrize('name', sorted(set(CLASSES) - {'UnsafeImage'}))
def test_every_error_has_a_sentence_of_its_own(name):
    assert re.fullmatch(r'The .*[a-z]\.|Another .*\.', str(CLASSES[name]()))
    assert str(CLASSES[name]('Another one.')) == 'Another one.'
