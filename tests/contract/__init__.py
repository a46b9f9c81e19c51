# SPDX-License-Identifier: Apache-2.0
"""What holds for any raw pool: the one in memory and the one in Ceph.

tests/unit runs these classes on tests/fakes, tests/functional on a real
cluster. Each wants the fixture ``world`` (world.py), and nothing else.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f'tests.contract.{name}'
        for name in (
            *('clones', 'directory', 'discard', 'inventory', 'lease'),
            *('attempts', 'mishaps'),
            *('raw_pool', 'world'),
        )
    )
)
