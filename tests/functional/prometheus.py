# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus that scrapes an agent, with our rules."""

import json
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.processes import Daemon
from tests.processes import free_port
from tests.waiting import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / 'etc/prometheus/glance-rawstore.rules.yml'
DASHBOARD = ROOT / 'etc/grafana/glance-rawstore.json'

_CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ['{rules}']
scrape_configs:
  - job_name: glance-rawstore
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


class Prometheus:
    """One that is running, until the context ends.

    :param directory: for its data
    :param port: of the agent
    """

    def __init__(self, directory: Path, port: int) -> None:
        self.url = f'http://127.0.0.1:{free_port()}'
        directory.mkdir()
        config = directory / 'prometheus.yml'
        config.write_text(_CONFIG.format(rules=RULES, port=port))
        self._daemon = Daemon(
            'prometheus',
            [
                'prometheus',
                f'--config.file={config}',
                f'--storage.tsdb.path={directory / "data"}',
                f'--web.listen-address={self.url.removeprefix("http://")}',
            ],
            directory / 'prometheus.log',
        )

    def __enter__(self) -> 'Prometheus':
        self._daemon.wait_until(self._ready, DEADLINE)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _exc: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._daemon.stop()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f'{self.url}/-/ready', timeout=5):
                return True
        except OSError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Ask its API; a query that it refuses raises ``HTTPError``."""
        query = urllib.parse.urlencode(parameters)
        url = f'{self.url}/api/v1/{path}?{query}'
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            return json.load(answer)['data']

    def query(self, expression: str) -> list[Any]:
        """The samples that an expression gives now."""
        found: list[Any] = self.get('query', query=expression)['result']
        return found

    def silent(self, store: str) -> set[str]:
        """Names of the dashboard's queries that give no sample now."""
        queries = dashboard(store).items()
        return {name for name, asked in queries if not self.query(asked)}

    def healthy(self) -> bool:
        """Whether every rule was evaluated, without an error."""
        (group,) = self.get('rules')['groups']
        return {rule['health'] for rule in group['rules']} == {'ok'}


def dashboard(store: str) -> dict[str, str]:
    """The queries of the dashboard by panel and legend, as Grafana asks."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())['panels']:
        for target in panel.get('targets', []):
            expression = target['expr'].replace('$store', store)
            expression = expression.replace('$__rate_interval', '10s')
            name = f'{panel["title"]}: {target["legendFormat"]}'
            found[name] = expression
    return found
