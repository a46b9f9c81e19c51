# SPDX-License-Identifier: Apache-2.0
"""What the operator and an image's properties ask for. Core: pure."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import wishes
from glance_rawstore.agent.facts import Image
from glance_rawstore.lifecycle import attempts
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states


class Wish(enum.StrEnum):
    """What is wished for an image."""

    WANTED = 'wanted'
    UNWANTED = 'unwanted'
    ABSENT = 'nothing is said'
    UNREADABLE = 'the property cannot be read'


@dataclasses.dataclass(frozen=True)
class Policy:
    """What the operator wants.

    :param store: name of the raw store
    :param makes: copies are made in this store; of several, in the first
    :param default: wish for a copy of every convertible image
    :param weight: of locations, where the image names none
    :param max_size: largest virtual size, in bytes
    """

    store: str
    makes: bool
    default: bool
    weight: int
    node_weights: Mapping[str, int]
    max_size: int
    retry: attempts.Retry

    def version(self, image: Image) -> str:
        """What failed attempts at the image hold for."""
        return attempts.version(image.updated_at, self.max_size)


def wish(image: Image, policy: Policy) -> Wish:
    """What is wished for an image that is there."""
    default = wishes.by_default(
        policy.default, image.disk_format, image.container_format
    )
    try:
        wanted = wishes.wanted(image.properties, default)
    except exceptions.InvalidProperty:
        return Wish.UNREADABLE
    if wanted:
        return Wish.WANTED
    said = wishes.PROPERTY in image.properties
    return Wish.UNWANTED if said else Wish.ABSENT


def metadata(
    image: Image, policy: Policy, rows: tuple[Mapping[str, Any], ...] = ()
) -> dict[str, Any]:
    """What the location of an active copy shall say.

    :param rows: what it says now; kept where the image's own weight cannot
        be read
    """
    try:
        weight = wishes.weight(image.properties, policy.weight)
    except exceptions.InvalidProperty:
        if rows:
            return {**rows[0], 'status': str(states.Status.ACTIVE)}
        weight = policy.weight
    return raw_copy.location_metadata(
        policy.store, states.Status.ACTIVE, weight, dict(policy.node_weights)
    )
