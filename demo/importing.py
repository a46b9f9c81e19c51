# SPDX-License-Identifier: Apache-2.0
"""The steps of the tenant: import, watch, look, download."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any

from demo.checks import Unexpected
from demo.facts import size
from demo.following import Follower
from demo.play import FILE
from demo.play import SERVICE
from demo.play import Play
from demo.preparing import MIB

IMPORT = f"""\
glance image-create-via-import --import-method glance-direct \\
    --file {FILE} --disk-format qcow2 --container-format bare \\
    --property raw_cache=true --name server"""

_FIELDS = 'status|disk_format|size|virtual_size|checksum|stores'


def import_image(play: Play) -> None:
    """Import the file, asking for a raw copy."""
    play.screen.say(
        'Alice is an ordinary tenant. The property raw_cache is all that she '
        'does for a raw copy.'
    )
    play.began = time.monotonic()
    told = play.alice.run(IMPORT).output
    found = re.search(r'\| id +\| (\S+)', told)
    if found is None:
        raise Unexpected(f'No image id was printed:\n{told}')
    play.image_id = found[1]
    play.alice.export('IMAGE', play.image_id)
    for other in (play.admin, play.cinder):
        other.variables['IMAGE'] = play.image_id


def watch(play: Play) -> None:
    """Follow the image and its tasks."""
    facts = play.facts
    play.screen.say(
        'Glance stores the file and sets the image active, as ever. Then the '
        'raw copy is made in the background. Alice can follow it on the image '
        'itself, and in a task: here, GET /v2/images/$IMAGE and '
        '/v2/images/$IMAGE/tasks are asked five times a second; seconds count '
        'from the command above.'
    )
    seen = Follower(
        play.stage.client('alice'),
        play.stage.client('alice', SERVICE),
        play.image_id,
        play.began,
        play.screen,
    ).follow()
    result = seen.task['result']
    play.task_id = seen.task['id']
    facts['image_active_seconds'] = seen.image_active
    facts['raw_active_seconds'] = seen.raw_active
    facts['raw_view_seconds'] = seen.raw_view
    facts['conversion_seconds'] = result['seconds']
    facts['raw_copy_used_bytes'] = result['bytes_used']
    rate = result['bytes_used'] / MIB / result['seconds']
    facts['conversion_mib_per_second'] = rate
    play.alice.run("glance image-tasks $IMAGE | grep '|' | cut -d '|' -f 2,3")
    play.expect(
        seen.image_active < seen.raw_active,
        'The image was active before its raw copy was.',
    )
    play.expect(
        seen.statuses == ['pending', 'active'],
        'The image itself told that its copy was pending, then active.',
        seen.statuses,
    )
    play.expect(
        any('%' in message for message in seen.messages),
        'The task told how far it was.',
        seen.messages,
    )


def look(play: Play) -> None:
    """Show that nothing has changed for the tenant, and what is new."""
    play.screen.say(
        'For the tenant it is the image that she uploaded: its format, size '
        'and checksum are those of her file. There is one more store.'
    )
    play.alice.run(
        'glance image-show $IMAGE --max-column-width 40 |\n'
        f"    grep -E '^\\| ({_FIELDS}) '"
    )
    play.admin.run('glance stores-info')
    _show_locations(play)
    play.admin.run('glance-rawstore list')
    play.admin.run('glance-rawstore show $IMAGE')
    _expect_original(play)
    _expect_raw_location(play)


def _show_locations(play: Play) -> None:
    """Print the locations; the glance command squeezes them into a cell."""
    play.screen.say(
        'Its locations, which Glance tells an admin: the answer to '
        'GET /v2/images/$IMAGE/locations.'
    )
    for location in _locations(play):
        play.screen.output(location['url'])
        metadata = '    ' + json.dumps(location['metadata'])
        play.screen.long_output(metadata, hang=4)


def _locations(play: Play) -> list[dict[str, Any]]:
    images = play.stage.client('admin').images
    return list(images.get_image_locations(play.image_id))


def _digest(play: Play, name: str, kind: str) -> str:
    with (play.stage.directory / name).open('rb') as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _expect_original(play: Play) -> None:
    image = play.image()
    play.expect(
        image.disk_format == 'qcow2',
        'disk_format is qcow2, as it was.',
        image.disk_format,
    )
    play.expect(
        image.checksum == _digest(play, FILE, 'md5')
        and image.os_hash_value == _digest(play, FILE, image.os_hash_algo),
        f"checksum and {image.os_hash_algo} are those of Alice's file.",
        image.checksum,
    )


def _expect_raw_location(play: Play) -> None:
    image = play.stage.client('admin').images.get(play.image_id)
    stores = sorted(image.stores.split(','))
    play.expect(stores == ['ceph', 'raw'], 'It is in both stores.', stores)
    [raw] = (
        location['metadata']
        for location in _locations(play)
        if location['metadata']['store'] == 'raw'
    )
    play.expect(
        raw['format'] == 'raw' and raw['status'] == 'active',
        "The raw copy's location says format raw, status active, weight "
        f'{raw["metrics"]["weight"]}.',
        raw,
    )


def download(play: Play) -> None:
    """Download what was uploaded."""
    play.screen.say(
        'Whoever downloads the image gets the original: Glance never hands '
        'out raw bytes under the checksum of a qcow2 file.'
    )
    play.alice.run('glance image-download $IMAGE --file download.qcow2')
    play.alice.run(f'md5sum {FILE} download.qcow2')
    same = _digest(play, 'download.qcow2', 'sha512')
    length = size((play.stage.directory / 'download.qcow2').stat().st_size)
    play.expect(
        same == _digest(play, FILE, 'sha512'),
        f'All {length} of the download are as they were uploaded.',
    )
