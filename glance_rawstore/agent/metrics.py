# SPDX-License-Identifier: Apache-2.0
"""Every metric of the agent: name, meaning, and where it comes from. Core.

One list, from which the endpoint, the page of the documentation and the
checks of rules and dashboard are made.
"""

from glance_rawstore.agent import measures
from glance_rawstore.agent.measures import Distribution
from glance_rawstore.agent.measures import Kind
from glance_rawstore.agent.measures import Metric
from glance_rawstore.agent.measures import Source

METRICS = (
    Metric(
        'build_info',
        Kind.GAUGE,
        'Always 1; the release of the agent.',
        Source.AGENT,
        lambda view: [((view.version,), 1.0)],
        ('version',),
    ),
    Metric(
        'copies',
        Kind.GAUGE,
        'Raw copies: being made, usable, or deleted and still in use.',
        Source.POOL,
        measures.each(
            lambda s: {
                'pending': len(s.pending),
                'active': s.active,
                'pending_delete': len(s.trashed),
            }
        ),
        ('status',),
    ),
    Metric(
        'copies_size_bytes',
        Kind.GAUGE,
        'Bytes that raw copies use, before replication.',
        Source.POOL,
        measures.each(
            lambda s: {
                'active': s.active_bytes,
                'pending_delete': s.trashed_bytes,
            }
        ),
        ('status',),
    ),
    Metric(
        'budget_limit_bytes',
        Kind.GAUGE,
        'What all copies may use; this and what follows from it are absent '
        'without a budget.',
        Source.POOL,
        measures.of_budget(lambda b: b.limit),
    ),
    Metric(
        'budget_high_watermark_bytes',
        Kind.GAUGE,
        'Above which copies are evicted.',
        Source.POOL,
        measures.of_budget(lambda b: b.high),
    ),
    Metric(
        'budget_low_watermark_bytes',
        Kind.GAUGE,
        'At which eviction ends.',
        Source.POOL,
        measures.of_budget(lambda b: b.low),
    ),
    Metric(
        'budget_used_bytes',
        Kind.GAUGE,
        'What copies count that are made, those in the trash included.',
        Source.POOL,
        measures.of_budget(lambda b: b.used),
    ),
    Metric(
        'budget_reserved_bytes',
        Kind.GAUGE,
        'What is reserved for copies that are being made.',
        Source.POOL,
        measures.of_budget(lambda b: b.reserved),
    ),
    Metric(
        'images_evicted',
        Kind.GAUGE,
        'Images whose copy was evicted, and is made again when somebody asks.',
        Source.POOL,
        measures.one(lambda s: s.evicted),
    ),
    Metric(
        'oldest_pending_timestamp_seconds',
        Kind.GAUGE,
        'When the oldest copy that is being made was begun; absent if none '
        'is.',
        Source.POOL,
        measures.one(lambda s: s.oldest_pending),
    ),
    Metric(
        'oldest_pending_delete_timestamp_seconds',
        Kind.GAUGE,
        'When the copy was deleted that waits longest for its last clone to '
        'go; absent if none does.',
        Source.POOL,
        measures.one(lambda s: s.oldest_trashed),
    ),
    Metric(
        'conversions_running',
        Kind.GAUGE,
        'Copies that a living worker is making, on any node.',
        Source.POOL,
        measures.one(lambda s: s.running),
    ),
    Metric(
        'conversions_unattended',
        Kind.GAUGE,
        'Copies that were begun, and that no living worker is at.',
        Source.POOL,
        measures.one(lambda s: s.unattended),
    ),
    Metric(
        'conversions_handed_over',
        Kind.GAUGE,
        'Conversions of workers that ended, waiting for an agent.',
        Source.POOL,
        measures.one(lambda s: s.handed_over),
    ),
    Metric(
        'conversions_queued',
        Kind.GAUGE,
        'Copies that could be made now, and wait for a free worker.',
        Source.GLANCE,
        measures.queued,
    ),
    Metric(
        'images_without_copy',
        Kind.GAUGE,
        'Images whose copy failed: refused, given up, or to be retried.',
        Source.POOL,
        measures.each(lambda s: s.failing.counts),
        ('state',),
    ),
    Metric(
        'conversions',
        Kind.COUNTER,
        'Conversions that have ended, by any worker: succeeded, failed, '
        'cancelled, or handed_over.',
        Source.TALLY,
        measures.each(lambda s: s.tally.results),
        ('result',),
    ),
    Metric(
        'conversion_failures',
        Kind.COUNTER,
        'Conversions that failed, by reason.',
        Source.TALLY,
        measures.each(lambda s: s.tally.failures),
        ('reason',),
    ),
    Metric(
        'conversion_duration_seconds',
        Kind.HISTOGRAM,
        'How long conversions took that succeeded, from their slot on.',
        Source.TALLY,
        measures.durations,
    ),
    Metric(
        'conversion_written_bytes',
        Kind.COUNTER,
        'Bytes that conversions wrote which succeeded.',
        Source.TALLY,
        measures.one(lambda s: s.tally.written),
    ),
    Metric(
        'lease_losses',
        Kind.COUNTER,
        'Conversions whose copy another worker took over, as their own '
        'lease had run out.',
        Source.TALLY,
        measures.one(lambda s: s.tally.lease_losses),
    ),
    Metric(
        'evictions',
        Kind.COUNTER,
        'Copies that were evicted, by policy; operator for those that one '
        'named.',
        Source.TALLY,
        measures.each(lambda s: s.tally.evictions),
        ('policy',),
    ),
    Metric(
        'evicted_bytes',
        Kind.COUNTER,
        'Bytes that were evicted.',
        Source.TALLY,
        measures.each(lambda s: s.tally.evicted_bytes),
        ('policy',),
    ),
    Metric(
        'agents',
        Kind.GAUGE,
        'Agents that are there, on any node.',
        Source.POOL,
        measures.one(lambda s: s.agents),
    ),
    Metric(
        'pass_duration_seconds',
        Kind.SUMMARY,
        'How long passes took: reconcile, reap, or collect (these figures).',
        Source.AGENT,
        measures.of_passes(lambda p: Distribution(p.count, p.seconds)),
        ('pass',),
    ),
    Metric(
        'pass_failures',
        Kind.COUNTER,
        'Passes that ended with an error.',
        Source.AGENT,
        measures.of_passes(lambda p: p.failures),
        ('pass',),
    ),
    Metric(
        'pass_last_success_timestamp_seconds',
        Kind.GAUGE,
        'When a pass ended well last; 0 before the first.',
        Source.AGENT,
        measures.of_passes(lambda p: p.last_success),
        ('pass',),
    ),
)
