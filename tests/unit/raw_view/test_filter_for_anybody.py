# SPDX-License-Identifier: Apache-2.0
"""Whoever asks, what is shown matches the bits that are then sent."""

import hashlib

import hypothesis
from hypothesis import strategies as st

from glance_rawstore import ceph
from tests.contract.world import DATA
from tests.contract.world import SIZE

TOKENS = st.fixed_dictionaries(
    {
        'IDENTITY_STATUS': st.sampled_from(['Confirmed'] * 3 + ['Invalid']),
        'USER_NAME': st.sampled_from(['nova', 'cinder', 'ironic']),
        'ROLES': st.sampled_from(['service', 'admin,Service', 'member']),
    }
)


def clones(token):
    """The naive model: whose token lets him see copies."""
    return (
        token['IDENTITY_STATUS'] == 'Confirmed'
        and token['USER_NAME'] in ('nova', 'cinder')
        and token['ROLES'] in ('service', 'admin,Service')
    )


@hypothesis.settings(
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=150,
)
@hypothesis.given(
    st.sampled_from([True, True, False]),
    TOKENS,
    st.one_of(st.none(), TOKENS),
    st.sampled_from(['active'] * 5 + ['none', 'pending', 'trash']),
    st.sampled_from(['active'] * 5 + ['deactivated']),
    st.sampled_from(['qcow2'] * 5 + ['raw']),
)
def test_whoever_asks_is_shown_what_matches_the_bits(
    bed, validated, main, service, copy, status, disk_format
):
    image_id = bed.image(False, status=status, disk_format=disk_format)
    if copy == 'pending':
        bed.world.begin(image_id)
    if copy in ('active', 'trash'):
        bed.world.copy(image_id)
    if copy == 'trash':
        ceph.rbd.RBD().trash_move(bed.world.pool.ioctx, f'{image_id}_raw', 0)
    caller = {f'HTTP_X_{name}': value for name, value in main.items()}
    for name, value in (service or {}).items():
        caller[f'HTTP_X_SERVICE_{name}'] = value
    if validated:
        caller['keystone.token_auth'] = object()
        caller['HTTP_X_AUTH_TOKEN'] = 'valid'

    shown = bed.get(f'/{image_id}', caller)
    file = bed.ask(f'/{image_id}/file', caller)

    known = validated and (clones(main) or bool(service and clones(service)))
    whole = (copy, status, disk_format) == ('active', 'active', 'qcow2')
    if known and whole:
        assert shown['disk_format'] == 'raw'
        assert [loc['url'] for loc in shown['locations']] == [
            bed.url(image_id)
        ]
        assert file.body == DATA.ljust(SIZE, b'\0')
        assert len(file.body) == shown['size']
    else:
        assert shown['disk_format'] == disk_format
        assert shown['size'] == len(b'QFI' * 1000)
        assert shown['checksum'] == hashlib.md5(b'QFI' * 1000).hexdigest()
        if status == 'active':
            assert file.body == b'QFI' * 1000
        else:
            assert file.status_int == 403
