# SPDX-License-Identifier: Apache-2.0
"""Names and states of raw copies: values only, no I/O."""
