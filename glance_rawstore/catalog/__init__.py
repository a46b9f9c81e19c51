# SPDX-License-Identifier: Apache-2.0
"""Glance's side of a copy: its location row and its task.

The only importer of Glance's internals (tested with glance 33.0.0;
``tests/unit/test_upstream.py`` notices when they move). All access is with
an admin context, since a tenant's import hands plugins no admin repository.

Rows are written with the database API of single locations, never by saving
the image: a save would move ``updated_at``, on which Cinder's image cache
drops its entries, and would race with what users change.
"""

from glance_rawstore.catalog.images import Image
from glance_rawstore.catalog.images import Images
from glance_rawstore.catalog.notices import Notices
from glance_rawstore.catalog.process import configure
from glance_rawstore.catalog.sender import SENDER
from glance_rawstore.catalog.tasks import CopyTask
from glance_rawstore.catalog.tasks import Requester
from glance_rawstore.catalog.tasks import Tasks

__all__ = [
    'SENDER',
    'Catalog',
    'CopyTask',
    'Image',
    'Requester',
    'configure',
]


class Catalog(Images, Tasks, Notices):
    """Images, locations, tasks and notifications of the Glance around us."""
