# SPDX-License-Identifier: Apache-2.0
"""What is known of failed attempts, in a raw pool in memory."""

from tests.contract.attempts import AttemptsContract


class TestAttempts(AttemptsContract):
    """In memory."""
