# SPDX-License-Identifier: Apache-2.0
"""The raw view before a Glance in memory, on a Ceph in memory."""

import io
import json
import time
import types
import uuid

import pytest
import webob
from oslo_config import cfg

from glance_rawstore import directory
from glance_rawstore import options
from glance_rawstore import raw_view
from glance_rawstore import stores
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.raw_view import copies
from glance_rawstore.raw_view import counting
from glance_rawstore.raw_view import facts
from glance_rawstore.raw_view import shared_pool
from tests.fakes.catalog import FakeCatalog
from tests.fakes.glance_api import GlanceAPI
from tests.unit import configured

LIMITS = [
    cfg.IntOpt('limit_param_default', default=25),
    cfg.IntOpt('api_limit_max', default=1000),
]
TENANT = {
    'keystone.token_auth': object(),
    'HTTP_X_IDENTITY_STATUS': 'Confirmed',
    'HTTP_X_USER_NAME': 'alice',
    'HTTP_X_ROLES': 'member',
    'HTTP_X_AUTH_TOKEN': 'of alice',
}
NOVA = {
    **TENANT,
    'HTTP_X_SERVICE_IDENTITY_STATUS': 'Confirmed',
    'HTTP_X_SERVICE_USER_NAME': 'nova',
    'HTTP_X_SERVICE_ROLES': 'service',
}
PATCH = 'application/openstack-images-v2.1-json-patch'


def request_of(number, caller=NOVA):
    return {**caller, 'HTTP_X_OPENSTACK_REQUEST_ID': f'req-{number}'}


def reads(bed, path, caller):
    """How often Ceph was read for one answer."""
    bed.get()  # connects
    found = []

    def count():
        found.append(1)
        bed.world.cluster.on('operate_read_op', before=count)

    bed.world.cluster.on('operate_read_op', before=count)
    assert bed.ask(path, caller).status_int == 200
    bed.world.cluster.events('operate_read_op')
    return len(found)


class Bed:
    """What a test needs.

    :ivar glance: behind the filter
    :ivar view: the filter
    """

    def __init__(self, world, conf):
        self.world = world
        self.conf = conf
        self.catalog = FakeCatalog()
        self.glance = GlanceAPI(self.catalog)
        self.view = raw_view.RawView(self.glance, conf)

    def image(self, copied=True, data=b'QFI' * 1000, **facts):
        """Make an image, with a copy that has been there for a day; its id."""
        image_id = str(uuid.uuid4())
        place = f'rbd://{self.world.cluster.fsid}/images/{image_id}/snap'
        row = self.catalog.row(place, 'ceph')
        self.catalog.add(image_id, data, **{'locations': (row,), **facts})
        if copied:
            self.commit(image_id, ago=24 * 3600)
        return image_id

    def commit(self, image_id, ago=0):
        """Make an image's copy, which became active so many seconds ago."""
        self.world.copy(image_id)
        self.committed(image_id, ago)

    def committed(self, image_id, ago):
        """Have the copy that there is be so many seconds old."""
        pool, at = self.world.pool, f'{time.time() - ago:.6f}'
        rbd_id = pool.rbd_id(raw_copy.name(image_id))
        directory.set_meta(pool.ioctx, rbd_id, raw_copy.META_COMMITTED, at)

    def url(self, image_id):
        """Of an image's copy."""
        fsid = self.world.cluster.fsid
        return f'rbd://{fsid}/images_raw/{image_id}_raw/snap'

    def request(self, path, caller=NOVA, method='GET', **kwargs):
        """A request for what is below the images."""
        return webob.Request.blank(
            f'/v2/images{path}', environ=dict(caller), method=method, **kwargs
        )

    def ask(self, path='', caller=NOVA, method='GET', **kwargs):
        request = self.request(path, caller, method, **kwargs)
        return request.get_response(self.view)

    def get(self, path='', caller=NOVA, **kwargs):
        answer = self.ask(path, caller, **kwargs)
        assert answer.status_int == 200, answer.text
        return answer.json

    def write(self, body, path='', caller=TENANT, kind=PATCH, **kwargs):
        """Update the image of that path, or create one without a path."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.ask(
            path,
            caller,
            method='PATCH' if path else 'POST',
            body=body,
            content_type=kind if path else 'application/json',
            **kwargs,
        )

    def write_chunked(self, body, path, caller=TENANT):
        """Update an image by a request that does not say how long it is."""
        request = self.request(path, caller, method='PATCH')
        request.content_type = PATCH
        request.headers['Transfer-Encoding'] = 'chunked'
        request.environ['wsgi.input'] = io.BytesIO(json.dumps(body).encode())
        request.environ.pop('CONTENT_LENGTH', None)
        return request.get_response(self.view)


@pytest.fixture
def make_bed(world, tmp_path, monkeypatch):
    """Makes a bed with these options of ``[glance_rawstore]``."""

    def make(text=''):
        text = (
            f'{configured.USUAL}\n'
            f'    rbd_store_ceph_conf = {world.cluster.conf_file}\n'
            f'    rbd_store_user = glance\n'
            f'    [glance_rawstore]\n    {text}\n'
        )
        conf = configured.read(tmp_path, text)
        conf.register_opts(LIMITS)
        bed = Bed(world, conf)
        # Counts are written when a test says so.
        monkeypatch.setattr(counting.Counter, '_start', lambda counter: None)
        monkeypatch.setattr(facts, 'Catalog', lambda _conf: bed.catalog)
        return bed

    return make


@pytest.fixture
def bed(make_bed):
    """A bed with the usual options."""
    return make_bed()


@pytest.fixture
def clock(monkeypatch):
    """The time by which looks are rationed, in seconds; stands still."""
    now = [1000.0]
    still = types.SimpleNamespace(
        monotonic=lambda: now[0], time=lambda: now[0]
    )
    monkeypatch.setattr(copies, 'time', still)
    monkeypatch.setattr(shared_pool, 'time', still)
    return now


@pytest.fixture
def chosen(tmp_path):
    return options.Options.read(configured.read(tmp_path), 'raw')


@pytest.fixture
def window(world, chosen):
    store = stores.Store('raw', stores.DRIVER, -1000, world.settings)
    return copies.Window(store, chosen)
