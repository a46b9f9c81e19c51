# SPDX-License-Identifier: Apache-2.0
"""What others are told of: the types of notifications."""

import enum


class Event(enum.StrEnum):
    """What happens to a copy."""

    START = 'image.raw_copy.start'
    END = 'image.raw_copy.end'
    ERROR = 'image.raw_copy.error'
    DELETE = 'image.raw_copy.delete'
    EVICT = 'image.raw_copy.evict'
