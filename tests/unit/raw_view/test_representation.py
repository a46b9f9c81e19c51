# SPDX-License-Identifier: Apache-2.0
"""What is shown of an image always matches the bits that it leads to."""

import copy as copying

import hypothesis
import pytest
from hypothesis import strategies as st

from glance_rawstore import formats
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import representation
from glance_rawstore.raw_view.representation import READ_ONLY
from glance_rawstore.raw_view.representation import Copy
from glance_rawstore.raw_view.representation import Wish

ID = '2b79f9a3-5f5c-4ba7-9a0c-1d7ce3ff9a10'
OTHER = '77777777-5f5c-4ba7-9a0c-1d7ce3ff9a10'
FSID, POOL, NODE = 'f51d', 'images_raw', 'compute-1'
SIZE = 64 << 20
ORIGINAL = f'rbd://{FSID}/images/{ID}/snap'


def url(image_id=ID, fsid=FSID, pool=POOL):
    return raw_copy.url(fsid, pool, image_id)


def copy(store='raw', pool=POOL, status=Status.ACTIVE, size=SIZE, **more):
    return Copy(store, url(pool=pool), status, size, **more)


def image(**more):
    """An image as Glance shows it."""
    return {
        'id': ID,
        'name': 'guest',
        'status': 'active',
        'disk_format': 'qcow2',
        'container_format': 'bare',
        'size': 1000,
        'virtual_size': SIZE,
        'checksum': 'c',
        'os_hash_algo': 'sha512',
        'os_hash_value': 'h',
        'direct_url': ORIGINAL,
        'locations': [{'url': ORIGINAL, 'metadata': {'store': 'ceph'}}],
        'hw_disk_bus': 'virtio',
        **more,
    }


def for_service(found, *copies):
    return representation.for_service(found, copies, NODE)


def test_a_raw_copy_is_shown_whole():
    shown = for_service(
        image(img_signature='s', img_signature_hash_method='SHA-256'), copy()
    )

    assert shown == {
        'id': ID,
        'name': 'guest',
        'status': 'active',
        'disk_format': 'raw',
        'container_format': 'bare',
        'size': SIZE,
        'virtual_size': SIZE,
        'checksum': None,
        'os_hash_algo': None,
        'os_hash_value': None,
        'direct_url': url(),
        'locations': [copy().location],
        'hw_disk_bus': 'virtio',
    }


def test_locations_are_shown_although_glance_shows_none():
    """Which needs no setting in Glance."""
    found = image()
    del found['direct_url'], found['locations']

    shown = for_service(found, copy())

    assert shown['direct_url'] == url()
    assert shown['locations'] == [copy().location]


def test_the_heaviest_copy_for_this_node_comes_first():
    light = copy('a', 'pool_a', weight=1)
    heavy = copy('b', 'pool_b', weight=5)
    here = copy('c', 'pool_c', weight=0, node_weights={NODE: 9})
    elsewhere = copy('d', 'pool_d', weight=2, node_weights={'compute-2': 99})

    shown = for_service(image(), light, heavy, here, elsewhere)

    stores = [loc['metadata']['store'] for loc in shown['locations']]
    assert stores == ['c', 'b', 'd', 'a']
    assert shown['direct_url'] == here.url


@pytest.mark.parametrize('status', [s for s in Status if s != 'active'])
def test_a_copy_that_is_not_active_is_not_shown(status):
    assert for_service(image(), copy(status=status))['disk_format'] == 'qcow2'


@pytest.mark.parametrize(
    'status', ['queued', 'saving', 'importing', 'deactivated', None]
)
def test_an_image_that_is_not_active_is_its_original(status):
    shown = for_service(image(status=status), copy())

    assert (shown['disk_format'], shown['size']) == ('qcow2', 1000)


def test_copies_that_differ_in_size_are_not_shown():
    """One of them at least is not the guest's disk."""
    shown = for_service(image(), copy(), copy('b', 'pool_b', size=SIZE + 1))

    assert shown['disk_format'] == 'qcow2'


@pytest.mark.parametrize('disk_format', sorted(formats.ALREADY_RAW))
def test_a_raw_original_is_shown_as_it_is(disk_format):
    """Such as Nova's direct snapshots, in the raw pool even."""
    place = f'rbd://{FSID}/{POOL}/{OTHER}/snap'
    found = image(
        disk_format=disk_format,
        direct_url=place,
        locations=[{'url': place, 'metadata': {'store': 'raw'}}],
    )

    assert for_service(found, copy()) == found
    assert (
        representation.locations_for_service(
            'active', disk_format, found['locations'], [copy()], NODE
        )
        == found['locations']
    )


def test_an_original_that_is_not_raw_has_nothing_that_cinder_clones():
    shown = for_service(image())

    assert 'direct_url' not in shown
    assert shown['locations'] == image()['locations'], 'for Nova to look at'
    assert (
        representation.locations_for_service(
            'active', 'qcow2', image()['locations'], [], NODE
        )
        == []
    )


def test_nova_finds_the_original_also_where_only_its_url_is_shown():
    found = image()
    del found['locations']

    shown = for_service(found)

    assert shown['locations'] == [{'url': ORIGINAL, 'metadata': {}}]
    assert 'direct_url' not in shown


@pytest.mark.parametrize('name', ['_raw', '_raw.part', '%5Fraw'])
def test_a_raw_image_cannot_borrow_another_images_copy(name):
    stolen = f'rbd://{FSID}/images_raw/{OTHER}{name}/snap'
    own = {'url': ORIGINAL, 'metadata': {}}
    borrowed = {'url': stolen, 'metadata': {'store': 'raw'}}
    found = image(
        disk_format='raw', direct_url=stolen, locations=[borrowed, own]
    )

    shown = for_service(found)

    assert shown['locations'] == [own]
    assert 'direct_url' not in shown
    listed = representation.locations_for_service(
        'active', 'raw', [borrowed, own], [], NODE
    )
    assert listed == [own]


# For tenants


@pytest.mark.parametrize(
    ('copies', 'wish', 'expected'),
    [
        ([], Wish.NONE, {}),
        ([], Wish.FAILED, {'status': 'error'}),
        ([], Wish.STANDS, {'status': 'pending', 'progress': '0'}),
        (
            [copy(status=Status.PENDING, progress=42)],
            Wish.STANDS,
            {'status': 'pending', 'progress': '42'},
        ),
        (
            [copy(status=Status.PENDING)],
            Wish.STANDS,
            {'status': 'pending', 'progress': '0'},
        ),
        (
            [copy(bytes_used=7)],
            Wish.STANDS,
            {'status': 'active', 'progress': '100', 'size': '7'},
        ),
        ([copy()], Wish.FAILED, {'status': 'active', 'progress': '100'}),
        (
            [copy(status=Status.PENDING_DELETE, bytes_used=7)],
            Wish.STANDS,
            {'status': 'pending_delete', 'size': '7'},
        ),
        (
            [
                copy('b', status=Status.PENDING_DELETE),
                copy('c', status=Status.PENDING, progress=5),
            ],
            Wish.STANDS,
            {'status': 'pending', 'progress': '5'},
        ),
        (
            [copy('c', status=Status.PENDING, progress=5), copy(bytes_used=0)],
            Wish.STANDS,
            {'status': 'active', 'progress': '100', 'size': '0'},
        ),
    ],
)
def test_tenants_see_how_far_their_copy_is(copies, wish, expected):
    shown = representation.for_tenant(image(), copies, wish)

    values = {f'raw_cache_{key}': value for key, value in expected.items()}
    assert shown == {**image(), **values}


def test_our_names_are_those_of_the_manual():
    assert {
        'raw_cache_status',
        'raw_cache_progress',
        'raw_cache_size',
    } == READ_ONLY


# Over random facts

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
