# SPDX-License-Identifier: Apache-2.0
"""The step of the two views: one image, as a tenant and a service see it."""

from __future__ import annotations

import statistics
import time
from typing import Any

from demo.facts import size
from demo.play import SERVICE
from demo.play import Play
from demo.stage import RAW

#: What is put side by side, in this order.
_FIELDS = (
    'status',
    'disk_format',
    'size',
    'virtual_size',
    'checksum',
    'locations',
    'raw_cache_status',
    'raw_cache_progress',
    'raw_cache_size',
)
#: How often each of the two is asked for its latency.
_TIMES = 9

_FORGERY = {
    'X-Identity-Status': 'Confirmed',
    'X-Roles': 'service',
    'X-User-Name': SERVICE,
    'X-Service-Identity-Status': 'Confirmed',
    'X-Service-Roles': 'service',
    'X-Service-User-Name': SERVICE,
}

_WRITE = 'glance image-update --property raw_cache_size=1 $IMAGE'

View = dict[str, Any]


def look_twice(play: Play) -> None:
    """Show both views, and that neither has anything of the other."""
    play.screen.say(
        'Cinder and Nova clone when the image that they read is raw and has a '
        'location in RBD. The filter raw_view shows them that, and nobody '
        'else. Both of these are what GET /v2/images/$IMAGE answers with '
        "Alice's token; on the right, Cinder's service token goes along, as "
        'it does when Cinder acts for her.'
    )
    tenant, service = play.view(), play.view(SERVICE)
    rows = [
        (name, _cell(play, tenant, name), _cell(play, service, name))
        for name in _FIELDS
    ]
    headings = ('', 'Alice', 'Cinder, for Alice')
    play.screen.side_by_side(headings, rows)
    _note_latency(play)
    _expect_tenant(play, tenant)
    _expect_service(play, service)
    _expect_no_way_in(play)
    [location] = service['locations']
    play.raw_url = location['url']


def _cell(play: Play, view: View, name: str) -> str:
    """One cell of the table, the same words for the same bytes."""
    value = view.get(name)
    if name not in view:
        return '-'
    if name == 'locations':
        return '\n'.join(_short(play, where['url']) for where in value)
    if name.endswith('size') and value is not None:
        return f'{value} ({size(int(value))})'
    return str(value)


def _short(play: Play, url: str) -> str:
    """A location in two lines, with names for the long ids in it."""
    named = url.replace(play.stage.cluster.fsid, '$FSID')
    named = named.replace(play.image_id, '${IMAGE}')
    head, tail = named.split('${IMAGE}', 1)
    return f'{head}\n${{IMAGE}}{tail}'


def _note_latency(play: Play) -> None:
    """Measure both in turn, so that both meet the same moments."""
    seconds: dict[str | None, list[float]] = {None: [], SERVICE: []}
    for _ in range(_TIMES):
        for service, taken in seconds.items():
            began = time.monotonic()
            play.view(service)
            taken.append(time.monotonic() - began)
    tenant, service_ = (
        round(statistics.median(taken) * 1000, 1) for taken in seconds.values()
    )
    play.facts['tenant_get_milliseconds'] = tenant
    play.facts['service_get_milliseconds'] = service_


def _expect_tenant(play: Play, view: View) -> None:
    length = (play.stage.directory / 'server.qcow2').stat().st_size
    play.expect(
        view['disk_format'] == 'qcow2' and view['size'] == length,
        'Alice is shown the format, size and checksum of her file.',
        view,
    )
    play.expect(
        'locations' not in view and 'direct_url' not in view,
        'Alice is shown no location, and need not be.',
        view,
    )
    play.expect(
        view['raw_cache_status'] == 'active'
        and view['raw_cache_progress'] == '100'
        and int(view['raw_cache_size']) > 0,
        'Her image says that the raw copy is there, and what it uses.',
        view,
    )


def _expect_service(play: Play, view: View) -> None:
    fsid = play.stage.cluster.fsid
    url = f'rbd://{fsid}/{RAW}/{play.image_id}_raw/snap'
    urls = [location['url'] for location in view['locations']]
    play.expect(
        view['disk_format'] == 'raw' and view['size'] == view['virtual_size'],
        'Cinder is shown a raw image, as large as the disk of a guest.',
        view,
    )
    play.expect(
        [*urls, view['direct_url']] == [url, url],
        'The only location that Cinder is shown is the raw copy.',
        urls,
    )
    play.expect(
        view['checksum'] is None and view['os_hash_value'] is None,
        "Cinder is not shown the checksum of the qcow2's bytes.",
        view,
    )


def _expect_no_way_in(play: Play) -> None:
    play.screen.say(
        'Alice cannot make herself a service, nor make an image look as if '
        'it had a copy:'
    )
    forged = play.view(headers=_FORGERY)
    play.expect(
        forged == play.view(),
        "Alice is shown no more when she sends a service's headers herself.",
        forged,
    )
    refused = play.alice.run(_WRITE, may_fail=True)
    play.expect(
        refused.code != 0 and '403' in refused.output,
        'What tells of the copy is read-only.',
        refused.output,
    )
