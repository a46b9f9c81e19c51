# SPDX-License-Identifier: Apache-2.0
"""Raw copies of Glance images on Ceph RBD. Importing this does nothing."""
