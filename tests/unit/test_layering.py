# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, and how long anything may be (CONTRIBUTING.rst)."""

import ast
import functools
import sys
from pathlib import Path

import pytest

import glance_rawstore
import glance_rawstoreclient

PACKAGE = Path(glance_rawstore.__file__).parent
MODULES = sorted(PACKAGE.rglob('*.py'))

DOORS = ('store', 'cli', 'tasks', 'raw_view', 'agent')
EDGES = (
    *(
        'ceph',
        'aio',
        'rbd_image',
        'rbd_pool',
        'removal',
        'raw_pool',
        'lease',
        'periodic',
        'inventory',
        'convert',
        'child',
        'catalog',
    ),
    *(
        'directory',
        'torn',
        'sources',
        'slots',
        'tickets',
        'board',
        'cluster_slots',
        'making',
        'part',
        'resuming',
        'ingest',
        'importing',
    ),
    *('record', 'filling', 'crew'),
    *('stores', 'options', 'opts', 'attempts', 'omap', 'handover', 'evicted'),
    *('uses', 'downloads', 'conversion_opts', 'staged'),
    *('budget', 'admission', 'evicting', 'cache_opts'),
    *('orders', 'tables', 'tracing'),
    *('tally', 'rights'),
)
CORE = (
    *('lifecycle', 'selection', 'wishes', 'safety', 'formats'),
    *('nodes', 'exceptions', 'eviction', 'turns', 'wording'),
)
# What decides within a door, and is held to the rules of the core.
PURE = (
    *(
        f'agent.{name}'
        for name in (
            *('facts', 'policy', 'workers', 'evictions', 'remains'),
            *('actions', 'plan'),
            *('sight', 'passes', 'measures', 'metrics'),
        )
    ),
    'cli.judging',
)
# What the core takes from outside the standard library, and where.
CORE_LIBRARIES = {
    name: {'oslo_utils'} for name in ('safety', 'formats', 'wishes')
} | {'wording': {'humanize'}, 'eviction.loading': {'stevedore'}}

MODULE_LINES = 275
FUNCTION_LINES = 60


def name(path):
    """Dotted name below the package: lifecycle.states."""
    parts = path.relative_to(PACKAGE).with_suffix('').parts
    return '.'.join(parts).removesuffix('__init__').rstrip('.')


def room(module):
    return module.split('.')[0]


@functools.cache
def tree(path):
    return ast.parse(path.read_text(), str(path))


@functools.cache
def imports(path):
    """Dotted names of all that a module imports, wherever it does."""
    return tuple(_imports(path))


def _imports(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            yield from (f'{node.module}.{a.name}' for a in node.names)


def imported_by_name(path):
    """First arguments of calls such as import_module('rbd')."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func).split('.')[-1]
            known = ('import_module', '__import__', '_module', 'import_class')
            if called in known and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


def importers(*packages):
    """Names of the modules that import one of these packages."""
    prefixes = tuple(f'{package}.' for package in packages)
    return {
        name(path)
        for path in MODULES
        for found in (*imports(path), *imported_by_name(path))
        if f'{found}.'.startswith(prefixes)
    }


def test_every_module_has_its_room():
    """A new one is to be put into one of the lists above."""
    rooms = {room(name(path)) for path in MODULES} - {''}

    assert rooms == {*DOORS, *EDGES, *CORE}


def test_only_ceph_imports_the_bindings():
    assert importers('rados', 'rbd') == {'ceph'}


def test_only_the_driver_imports_private_parts_of_glance_store():
    assert importers('glance_store._drivers') == {'store'}


def test_only_the_catalog_imports_glance():
    assert {room(found) for found in importers('glance')} == {'catalog'}


def test_only_the_converter_starts_processes():
    """And what tries whether they may give way."""
    assert importers('oslo_concurrency') == {'convert'}
    assert importers('subprocess') == {'child'}


@pytest.mark.parametrize(
    'path',
    [p for p in MODULES if room(name(p)) in CORE or name(p) in PURE],
    ids=name,
)
def test_the_core_imports_neither_edges_nor_doors(path):
    allowed = CORE_LIBRARIES.get(name(path), set())
    for found in imports(path):
        package, *rest = found.split('.')
        if package == 'glance_rawstore':
            pure = '.'.join(rest[:2]) in PURE
            assert rest[0] in CORE or pure, found
        else:
            assert package in sys.stdlib_module_names | allowed, found


@pytest.mark.parametrize(
    'path',
    [path for path in MODULES if room(name(path)) in EDGES],
    ids=name,
)
def test_edges_import_no_doors(path):
    for found in imports(path):
        package, *rest = found.split('.')
        if package == 'glance_rawstore':
            assert rest[0] not in DOORS, found


def test_the_client_needs_nothing_of_ours():
    client = Path(glance_rawstoreclient.__file__).parent
    allowed = {'cliff', 'humanize', 'keystoneauth1', 'openstack', 'osc_lib'}
    allowed |= {'rich', 'glance_rawstoreclient', *sys.stdlib_module_names}

    for path in client.rglob('*.py'):
        for found in imports(path):
            assert found.split('.')[0] in allowed, found


def test_importing_the_package_does_nothing():
    assert not list(imports(PACKAGE / '__init__.py'))


@pytest.mark.parametrize('path', MODULES, ids=name)
def test_no_module_is_too_long(path):
    assert len(path.read_text().splitlines()) <= MODULE_LINES


@pytest.mark.parametrize('path', MODULES, ids=name)
def test_no_function_is_too_long(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= FUNCTION_LINES, node.name


@pytest.mark.parametrize('path', MODULES, ids=name)
def test_every_file_names_its_license_first(path):
    first = path.read_text().splitlines()[0]

    assert first == '# SPDX-License-Identifier: Apache-2.0'
