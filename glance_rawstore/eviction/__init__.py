# SPDX-License-Identifier: Apache-2.0
"""Which raw copies to evict first, when the budget is used up."""
