# SPDX-License-Identifier: Apache-2.0
"""The code of Cinder and of Nova, unmodified, against our Glance and Ceph.

Each of the two runs in a process of its own, as in a cloud: they define
options of the same names, and each logs in as its own service user.

    process.Consumer      this side: calls a function over there, and is told
                          of every answer that Glance gave meanwhile
    serving               the other side
    cinder_volume         what is called in Cinder's process
    nova_compute          what is called in Nova's
"""
