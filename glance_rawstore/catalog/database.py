# SPDX-License-Identifier: Apache-2.0
"""How Glance's database is reached, and what all its records share."""

import datetime
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import glance.context
import glance.db
import glance.gateway
from glance.common import utils as glance_utils
from oslo_config import cfg

from glance_rawstore.catalog.sender import SENDER

#: Records that are read at once.
PAGE = 500

_P = ParamSpec('_P')
_R = TypeVar('_R')


def epoch(moment: datetime.datetime | None) -> float:
    """Seconds since the epoch; Glance's times are naive and in UTC."""
    if moment is None:
        return 0.0
    return moment.replace(tzinfo=datetime.UTC).timestamp()


def write(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Try again while SQLite or MySQL report a lock."""

    @functools.wraps(method)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        result: _R = glance_utils.retry_on_db_lock(
            lambda: method(*args, **kwargs)
        )
        return result

    return wrapper


class Database:
    """Glance's database, as an admin sees it.

    :param conf: Glance's own configuration
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._context: Any = glance.context.RequestContext(
            is_admin=True, roles=['admin'], overwrite=False
        )
        self._gateway: Any = glance.gateway.Gateway(notifier=SENDER)
        self._db: Any = glance.db.get_api()
