# SPDX-License-Identifier: Apache-2.0
"""One image, and what comes or goes while it is looked up."""

import pytest

from glance_rawstore import directory
from tests.contract.world import SIZE
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import TENANT

STATUS = 'raw_cache_status'


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_copies_are_looked_up_while_glance_is_at_work(bed, caller):
    image_id = bed.image()
    bed.get()  # connects
    order = []
    bed.world.cluster.on('operate_read_op', after=lambda: order.append('Ceph'))
    bed.glance.after = lambda: order.append('Glance')

    shown = bed.get(f'/{image_id}', caller)

    assert order == ['Ceph', 'Glance']
    assert shown.get(STATUS) == ('active' if caller is TENANT else None)
    assert shown['disk_format'] == ('qcow2' if caller is TENANT else 'raw')


@pytest.mark.parametrize('copied', [False, True])
@pytest.mark.parametrize('point', ['name', 'header', 'glance'])
@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_a_copy_that_comes_or_goes_meanwhile_is_shown_whole_or_not(
    bed, caller, copied, point
):
    """Whatever has been read by then: its name, its header, the image."""
    image_id = bed.image(copied=copied)
    bed.get()  # connects
    flipped = []

    def flip():
        if not flipped:
            flipped.append(point)
            other = bed.world.other_node()
            other.delete(image_id) if copied else bed.world.copy(image_id)

    if point == 'glance':
        bed.glance.after = flip
    elif point == 'name':
        bed.world.cluster.on('operate_read_op', after=flip)
    else:

        def then():
            bed.world.cluster.on('operate_read_op', after=flip)

        bed.world.cluster.on('operate_read_op', after=then)

    shown = bed.get(f'/{image_id}', caller)

    if caller is TENANT:
        assert (shown['disk_format'], shown['size']) == ('qcow2', 3000)
        assert ('raw_cache_size' in shown) == (shown.get(STATUS) == 'active')
        return
    whole = (shown['disk_format'], shown['size'], shown.get('direct_url'))
    raw = ('raw', SIZE, bed.url(image_id))
    assert whole in (raw, ('qcow2', 3000, None))
    assert (shown['checksum'] is None) == (whole == raw)


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_an_id_in_other_letters_is_the_same_image(bed, caller, monkeypatch):
    """As with MySQL, which Glance then answers by the id it has."""
    image_id = bed.image()
    find = bed.glance._find
    monkeypatch.setattr(bed.glance, '_find', lambda i: find(i.lower()))

    shown = bed.get(f'/{image_id.upper()}', caller)

    assert shown == bed.get(f'/{image_id}', caller)
    assert shown['disk_format'] == 'raw' or shown[STATUS] == 'active'


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_nothing_is_looked_up_of_what_glance_refuses(bed, caller, caplog):
    image_id = bed.image()
    bed.get()  # connects
    bed.glance.hidden.add(image_id)

    with bed.world.away():
        assert bed.ask(f'/{image_id}', caller).status_int == 404

    assert 'are shown as their originals' not in caplog.text


def test_nothing_is_looked_up_for_who_is_shown_nothing(make_bed, monkeypatch):
    bed = make_bed('raw_view = never')
    image_id = bed.image()
    monkeypatch.setattr(directory, 'begin_ids', None)

    assert bed.get(f'/{image_id}')['disk_format'] == 'qcow2'
