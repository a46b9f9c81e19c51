# SPDX-License-Identifier: Apache-2.0
"""The doors named in setup.cfg open, and the sample shows what opts.py says.

Glance, pip and oslo.config find us by these names alone: a module that was
moved and not renamed there is only missed when somebody needs it.
"""

import configparser
from importlib import metadata
from pathlib import Path

import pytest
from oslo_config import generator

ROOT = Path(__file__).parents[2]


def doors(directory=ROOT):
    """Every entry point of a package's setup.cfg."""
    config = configparser.ConfigParser()
    config.read(directory / 'setup.cfg')
    return [
        metadata.EntryPoint(*(part.strip() for part in line.split('=')), group)
        for group, lines in config['entry_points'].items()
        for line in lines.strip().splitlines()
    ]


@pytest.mark.parametrize(
    'door',
    [*doors(), *doors(ROOT / 'client')],
    ids=lambda door: f'{door.group}:{door.name}',
)
def test_every_door_leads_to_something_that_can_be_called(door):
    assert callable(door.load())


@pytest.mark.parametrize(
    ('name', 'directory'),
    [
        ('glance-rawstore', ROOT),
        ('python-glance-rawstoreclient', ROOT / 'client'),
    ],
)
def test_the_installed_doors_are_those_of_setup_cfg(name, directory):
    installed = metadata.distribution(name).entry_points

    assert set(installed) == set(doors(directory)), 'run tools/bootstrap'


def test_the_sample_configuration_is_not_stale(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    fresh = tmp_path / 'fresh.conf'
    generator.main(
        [
            '--config-file=etc/config-generator.conf',
            f'--output-file={fresh}',
        ]
    )

    sample = Path('etc/glance-rawstore.conf')

    assert sample.read_text() == fresh.read_text(), 'run tox -e genconfig'
