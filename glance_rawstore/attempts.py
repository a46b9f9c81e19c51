# SPDX-License-Identifier: Apache-2.0
"""Attempts at copies, kept where every node sees them: in the raw pool.

One object, :data:`OBJECT`, with an entry for each image in its omap. Entries
are few, those of images whose copy could not be made, and they are gone with
the copy or the image. Who makes a copy has the lease on it, so that an entry
has one writer.
"""

from glance_rawstore import omap
from glance_rawstore.lifecycle import attempts

#: Name of the object.
OBJECT = 'glance_rawstore.attempts'

_ENTRIES = omap.Entries(OBJECT, attempts.encode, attempts.decode)

read = _ENTRIES.read
read_some = _ENTRIES.read_some
read_all = _ENTRIES.read_all
write = _ENTRIES.write
forget = _ENTRIES.remove
