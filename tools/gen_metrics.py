#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the page of all metrics from the list of them.

    tools/gen_metrics.py            writes doc/source/_generated/metrics.inc
    tools/gen_metrics.py --check    ends with 1 when that file is stale

Everything comes from glance_rawstore/agent/metrics.py, from which the agent
answers as well.
"""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import generated  # noqa: E402

from glance_rawstore.agent import measures  # noqa: E402
from glance_rawstore.agent import metrics  # noqa: E402

_HEAD = generated.head('gen_metrics.py')


def _entry(metric: measures.Metric) -> Iterator[str]:
    """One metric, as an item of a definition list."""
    labels = ', '.join(f'``{label}``' for label in metric.labels)
    yield f'``{metric.family}`` ({metric.kind})'
    text = f'{metric.text} ' + (f'By {labels}.' if labels else '')
    yield from textwrap.wrap(
        text, 79, initial_indent='    ', subsequent_indent='    '
    )


def page() -> str:
    """All of the generated part of the page."""
    lines = [_HEAD]
    for source in measures.Source:
        title = f'{source[0].upper()}{source[1:]}'
        lines += ['', title, '-' * len(title), '']
        for metric in metrics.METRICS:
            if metric.source is source:
                lines += _entry(metric)
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    about = (__doc__ or '').splitlines()[0]
    sys.exit(generated.main('gen_metrics.py', about, 'metrics.inc', page()))
