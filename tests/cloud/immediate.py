# SPDX-License-Identifier: Apache-2.0
"""Make a service's SQLite transactions wait for each other.

Imported into the service by uWSGI (pyimport), which else runs unchanged.

oslo.db begins every transaction as a reading one. When two of them go on to
write, SQLite lets one fail at once with "database is locked", whatever its
timeout, and Glance answers HTTP 500; MySQL and PostgreSQL make it wait.
Begun as a writing one, a transaction waits for its turn here too.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy.engine
import sqlalchemy.event


@sqlalchemy.event.listens_for(
    sqlalchemy.engine.Engine, 'before_cursor_execute', retval=True
)
def _begin_writing(
    connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any
) -> tuple[str, Any]:
    if statement == 'BEGIN':
        statement = 'BEGIN IMMEDIATE'
    return statement, parameters
