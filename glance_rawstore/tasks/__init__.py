# SPDX-License-Identifier: Apache-2.0
"""The import plugin and the conversion that it starts."""
