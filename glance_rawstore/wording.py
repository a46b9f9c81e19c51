# SPDX-License-Identifier: Apache-2.0
"""How quantities are told to people, wherever they are; by humanize."""

import humanize


def size(count: float) -> str:
    """Bytes for people, in binary units: ``1.1 GiB``."""
    return str(humanize.naturalsize(count, binary=True, format='%.1f'))
