# SPDX-License-Identifier: Apache-2.0
"""How long a raw copy takes, and what it costs the node that makes it.

``python -m benchmarks --help``; what the rows mean is in README.rst.
"""
