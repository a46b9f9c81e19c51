# SPDX-License-Identifier: Apache-2.0
"""Conversions are handed over, in a raw pool in memory."""

from tests.contract.handover import HandoverContract


class TestHandover(HandoverContract):
    """In memory."""
