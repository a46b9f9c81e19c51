# SPDX-License-Identifier: Apache-2.0
"""Raw copies of images in the ``openstack`` command."""
