# SPDX-License-Identifier: Apache-2.0
"""Uses of copies, and evicted ones that services ask for, in a real cloud."""

import time
from pathlib import Path

from glance_rawstore import evicted
from glance_rawstore import handover
from glance_rawstore import raw_pool
from glance_rawstore import uses
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.uses import Use
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional.agents import Agent
from tests.functional.callers import Caller
from tests.functional.callers import nova
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true

#: Seconds between passes of the agent: more than a test may take.
SELDOM = 3600


def known(pool: Pool) -> dict[str, Use]:
    """What is known of uses."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        return uses.read_all(opened.ioctx)


def attended(pool: Pool) -> bool:
    """Whether an agent is there."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        return handover.attended(opened.ioctx)


def evict(pool: Pool, image_id: str) -> None:
    """Evict an image's copy."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        evicted.note(opened.ioctx, image_id, Evicted(time.time(), 'lru', 1))
        opened.delete(image_id)


def test_an_api_that_ends_has_written_what_was_used(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    used, unused = (tenant.make_copy(small_image) for _ in range(2))
    cloud.restart()  # workers write a minute after the first use they see
    before = time.time()
    for path in ('', '/file', ''):
        assert nova(cloud).ask('GET', f'/{used}{path}').ok
    Caller(cloud).image(unused)
    assert not {used, unused} & set(known(pool)), 'no write for a request'

    began = time.monotonic()
    cloud.stop()
    print(f'the API has ended after {time.monotonic() - began:.1f} s')
    cloud.start()

    found = known(pool)
    assert unused not in found
    # one for each worker that was asked
    assert 0.99 < found[used].score < 2.01
    assert before <= (found[used].last or 0.0) <= time.time()


def test_an_evicted_copy_is_made_again_soon_after_a_service_asked(
    cloud: Cloud, pool: Pool, small_image: Path, tmp_path: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    options = {'reconcile_interval': SELDOM, 'retry_delay': 1}
    with (
        agents.configured(cloud, tmp_path, 'node', **options) as conf,
        Agent(cloud, tmp_path, conf) as agent,
    ):
        await_true(lambda: attended(pool), 'an agent is there')
        evict(pool, image_id)
        shown = Caller(cloud).image(image_id)
        assert shown['raw_cache_status'] == 'evicted'
        assert 'raw_cache_size' not in shown

        asked = time.monotonic()
        assert nova(cloud).image(image_id)['disk_format'] == 'qcow2'
        await_true(
            lambda: f'{image_id}_raw' in pool.names(),
            f'{image_id} has its copy again, after one ask',
        )
        print(f'made again {time.monotonic() - asked:.1f} s after the ask')

        assert 'it was evicted, and was asked for since' in agent.log()
        assert nova(cloud).image(image_id)['disk_format'] == 'raw'
    with raw_pool.RawPool.open(pool.settings) as opened:
        assert evicted.read(opened.ioctx, image_id) is None
