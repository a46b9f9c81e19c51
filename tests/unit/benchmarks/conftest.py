# SPDX-License-Identifier: Apache-2.0
"""Unit tests run without Ceph's bindings; what is timed needs them."""

import importlib.util

_NEED_BINDINGS = ['test_parts.py', 'test_plot.py', 'test_writes.py']

collect_ignore = [] if importlib.util.find_spec('rados') else _NEED_BINDINGS
