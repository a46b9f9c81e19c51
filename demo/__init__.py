# SPDX-License-Identifier: Apache-2.0
"""The main job, shown from end to end on a real Ceph and a real Glance.

    tools/run-demo
    python -m demo --help

See demo/README.rst.
"""
