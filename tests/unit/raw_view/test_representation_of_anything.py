# SPDX-License-Identifier: Apache-2.0
"""What is shown matches the bits, whatever the image, and its copies."""

import copy as copying

import hypothesis
from hypothesis import strategies as st

from glance_rawstore import formats
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import representation
from glance_rawstore.raw_view.representation import READ_ONLY
from glance_rawstore.raw_view.representation import Wish
from tests.unit.raw_view.test_representation import FSID
from tests.unit.raw_view.test_representation import ID
from tests.unit.raw_view.test_representation import NODE
from tests.unit.raw_view.test_representation import ORIGINAL
from tests.unit.raw_view.test_representation import OTHER
from tests.unit.raw_view.test_representation import POOL
from tests.unit.raw_view.test_representation import SIZE
from tests.unit.raw_view.test_representation import copy
from tests.unit.raw_view.test_representation import url

GARBAGE = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=8)),
    lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
#: What a tenant who may edit locations could write, and what Glance has.
URLS = st.one_of(
    st.sampled_from(
        [
            ORIGINAL,
            url(),
            url(OTHER),
            url(pool='images'),
            url(fsid='another'),
            url() + '/..',
            f'rbd://{FSID}/{POOL}/{OTHER}/snap',
            'file:///var/lib/glance/x',
            'cinder://ceph/77',
            'RBD://x',
            '',
        ]
    ),
    st.text(max_size=20),
)
METADATA = st.one_of(
    st.builds(
        raw_copy.location_metadata,
        st.sampled_from(['raw', 'ceph']),
        st.sampled_from(Status),
        st.integers(-5, 5000),
    ),
    st.dictionaries(
        st.sampled_from(['store', 'format', 'status', 'metrics', 'x']),
        GARBAGE,
    ),
)
LOCATIONS = st.lists(
    st.fixed_dictionaries({'url': URLS, 'metadata': METADATA}), max_size=4
)
IMAGES = st.builds(
    lambda needed, rest, ours: {**needed, **rest, **ours},
    st.fixed_dictionaries(
        {
            'id': st.just(ID),
            'status': st.sampled_from(
                ['active'] * 4 + ['queued', 'deactivated', 'deleted']
            ),
            'disk_format': st.sampled_from(
                ['qcow2', 'qcow2', 'vmdk', 'raw', 'iso', 'ami', None]
            ),
        }
    ),
    st.fixed_dictionaries(
        {},
        optional={
            'container_format': st.sampled_from(['bare', 'ovf', None]),
            'size': st.integers(0, 99),
            'virtual_size': st.one_of(st.none(), st.integers(0, 99)),
            'checksum': st.text(max_size=3),
            'os_hash_algo': st.just('sha512'),
            'os_hash_value': st.text(max_size=3),
            'direct_url': URLS,
            'locations': LOCATIONS,
            'img_signature': st.text(max_size=3),
            'img_signature_key_type': st.text(max_size=3),
            'raw_cache': st.text(max_size=3),
            'format': st.just('raw'),
        },
    ),
    st.dictionaries(st.sampled_from(sorted(READ_ONLY)), GARBAGE),
)
COPIES = st.lists(
    st.builds(
        lambda store, **more: copy(store, f'pool_{store}', **more),
        st.sampled_from(['a', 'b', 'c']),
        status=st.sampled_from([Status.ACTIVE, *Status]),
        size=st.sampled_from([SIZE, SIZE, SIZE, SIZE + 512]),
        bytes_used=st.one_of(st.none(), st.integers(0, SIZE)),
        progress=st.one_of(st.none(), st.integers(0, 100)),
        weight=st.integers(-5, 5),
        node_weights=st.dictionaries(
            st.sampled_from([NODE, 'compute-2']), st.integers(-9, 9)
        ),
    ),
    max_size=3,
    unique_by=lambda found: found.store,
)
NODES = st.sampled_from([NODE, 'compute-2', None])
many = hypothesis.settings(max_examples=500)


def locations_for_service(found, copies, node):
    return representation.locations_for_service(
        found['status'],
        found['disk_format'],
        found.get('locations', []),
        copies,
        node,
    )


@many
@hypothesis.given(IMAGES, COPIES, NODES)
def test_what_a_service_is_told_matches_the_bits(found, copies, node):
    before = copying.deepcopy(found)

    shown = representation.for_service(found, copies, node)
    listed = locations_for_service(found, copies, node)

    assert found == before, "Glance's answer is not changed"
    assert not READ_ONLY & shown.keys()
    if found['disk_format'] in formats.ALREADY_RAW:
        check_raw_original(found, shown, listed)
    elif shown['disk_format'] == 'raw':
        check_raw(found, shown, listed, copies, node)
    else:
        check_original(found, shown, listed, copies)


def check_raw_original(found, shown, listed):
    """It is Glance's answer, without the copies of other images.

    The ids of all images here end with 10.
    """
    theirs = {k: v for k, v in found.items() if k not in READ_ONLY}
    kept = [
        location
        for location in theirs.get('locations', [])
        if '10_raw' not in str(location['url'])
    ]
    if 'locations' in theirs:
        theirs['locations'] = kept
    if '10_raw' in str(theirs.get('direct_url')):
        del theirs['direct_url']
    assert shown == theirs
    assert listed == kept


def check_raw(found, shown, listed, copies, node):
    """It is the copies of this very image, and nothing but them."""
    active = {c.url: c for c in copies if c.status is Status.ACTIVE}
    urls = [location['url'] for location in shown['locations']]
    assert found['status'] == 'active'
    assert sorted(urls) == sorted(active) != []
    assert shown['direct_url'] == urls[0]
    assert listed == shown['locations'], 'one answer or the other'
    assert {c.size for c in active.values()} == {shown['size']}
    assert shown['virtual_size'] == shown['size']
    assert shown['container_format'] == 'bare'
    for name in ('checksum', 'os_hash_algo', 'os_hash_value'):
        assert shown[name] is None
    assert not [name for name in shown if name.startswith('img_signature')]
    for location in shown['locations']:
        assert ID in location['url']
        assert location['metadata']['format'] == 'raw'
        assert location['metadata']['status'] == 'active'
    weights = [
        active[found].node_weights.get(node, active[found].weight)
        for found in urls
    ]
    assert weights == sorted(weights, reverse=True)


def check_original(found, shown, listed, copies):
    """It is what Glance has, and Cinder finds nothing to clone."""
    active = [c for c in copies if c.status is Status.ACTIVE]
    sizes = {c.size for c in active}
    assert found['status'] != 'active' or len(sizes) != 1, 'why not raw?'
    assert listed == []
    assert 'direct_url' not in shown
    changed = {'direct_url', 'locations', *READ_ONLY}
    for name in (found.keys() | shown.keys()) - changed:
        assert shown[name] == found[name], name
    if 'locations' in found:
        assert shown['locations'] == found['locations']
    elif found.get('direct_url'):
        (only,) = shown['locations']
        assert only['url'] == found['direct_url']


@many
@hypothesis.given(
    IMAGES,
    COPIES,
    st.sampled_from(Wish),
)
def test_tenants_see_glances_answer_and_three_properties(found, copies, wish):
    before = copying.deepcopy(found)

    shown = representation.for_tenant(found, copies, wish)

    assert found == before, "Glance's answer is not changed"
    theirs = {k: v for k, v in found.items() if k not in READ_ONLY}
    ours = {k: v for k, v in shown.items() if k in READ_ONLY}
    assert {k: v for k, v in shown.items() if k not in READ_ONLY} == theirs
    assert all(isinstance(value, str) for value in ours.values())
    # None of it is what was stored under these names.
    bare = representation.for_tenant(theirs, copies, wish)
    assert ours == {k: v for k, v in bare.items() if k in READ_ONLY}
    if not copies and wish is Wish.NONE:
        assert ours == {}


@many
@hypothesis.given(IMAGES, COPIES, COPIES, NODES)
def test_cinder_has_nothing_to_clone_but_raw_bytes_whenever_they_flip(
    found, earlier, later, node
):
    """It asks twice, and the copies may be others the second time.

    It clones what the one answer says is raw from the places that the other
    one, or the image's own direct URL, names.
    """
    hypothesis.assume(found['disk_format'] not in formats.ALREADY_RAW)
    raw = {c.url for c in (*earlier, *later) if c.status is Status.ACTIVE}

    for first, second in ((earlier, later), (later, earlier)):
        places = {
            location['url']
            for location in locations_for_service(found, first, node)
        }
        shown = representation.for_service(found, second, node)
        places.add(shown.get('direct_url'))

        assert places - {None} <= raw


@hypothesis.given(IMAGES)
def test_a_service_without_raw_copies_sees_glances_answer(found):
    shown = representation.plain(found)

    assert shown == {k: v for k, v in found.items() if k not in READ_ONLY}
