# SPDX-License-Identifier: Apache-2.0
"""What closes the gap between what is wished for and what is there."""
