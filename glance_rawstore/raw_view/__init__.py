# SPDX-License-Identifier: Apache-2.0
"""DOOR: the paste filter ``raw_view`` of glance-api.

Services that clone are shown an image's raw copy, everybody else the
original and how far its copy is. The filter only changes answers that Glance
has given: what Glance refuses stays refused, except for a deletion that a
conversion of ours was in the way of, for which Glance is asked again.
"""

from collections.abc import Callable, Iterable
from typing import Any

import webob
from oslo_config import cfg

from glance_rawstore import opts
from glance_rawstore.raw_view import callers
from glance_rawstore.raw_view import routes
from glance_rawstore.raw_view.answers import Answers
from glance_rawstore.raw_view.answers import App
from glance_rawstore.raw_view.callers import Audience


class RawView:
    """The filter, for one application behind it.

    :param app: the rest of glance-api's pipeline
    :param conf: Glance's own configuration
    """

    def __init__(self, app: App, conf: cfg.ConfigOpts) -> None:
        opts.register(conf)
        self._app = app
        # Once: a look into Glance's options takes as long as all the rest.
        self._raw_view = conf[opts.GROUP].raw_view
        self._services = frozenset(conf[opts.GROUP].raw_view_services)
        self._answers = Answers(app, conf)

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """Answer one request."""
        # Here, since Glance's router eats the path as it goes.
        found = routes.classify(
            environ['REQUEST_METHOD'], environ.get('PATH_INFO', '')
        )
        if found is None:
            return self._app(environ, start_response)
        kind, image_id = found
        request = webob.Request(environ)
        answer = self._answers.to(
            request, kind, image_id, self._audience(environ)
        )
        response: Iterable[bytes] = answer(environ, start_response)
        return response

    def _audience(self, environ: dict[str, Any]) -> Audience:
        service = callers.is_service(environ, self._services)
        if self._raw_view == 'always' or (
            self._raw_view == 'service' and service
        ):
            return Audience.CLONING
        return Audience.SERVICE if service else Audience.TENANT


def filter_factory(
    _global_conf: dict[str, str], **_local_conf: str
) -> Callable[[App], RawView]:
    """Make the filter for ``paste.filter_factory``."""

    def make(app: App) -> RawView:
        return RawView(app, cfg.CONF)

    return make
