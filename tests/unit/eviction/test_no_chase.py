# SPDX-License-Identifier: Apache-2.0
"""Eviction and reconciliation do not chase each other.

What decides is all real: the plan for each image, the budget's arithmetic,
the policies, the rule by which an eviction is over. Only what they decide on
is made up: images that wish for a copy, and more of them than there is room
for; consumers; agents that die in the middle of an eviction.
"""

import dataclasses
import random

import pytest

from glance_rawstore.agent import plan
from glance_rawstore.agent.actions import Kind
from glance_rawstore.agent.facts import Copy
from glance_rawstore.agent.facts import Facts
from glance_rawstore.agent.facts import Image
from glance_rawstore.eviction import loading
from glance_rawstore.eviction.base import Candidate
from glance_rawstore.eviction.base import Usage
from glance_rawstore.lifecycle import budget
from glance_rawstore.lifecycle import uses
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.evicted import Evicted
from tests.unit.agent.test_plan import POLICY
from tests.unit.agent.test_plan import carried_out

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: Images that wish for a copy, and how many of them have room, about.
IMAGES, FIT = 24, 8
SIZES = range(1, 20)
LIMITS = budget.Limits(bytes=FIT * 10, high=95, low=80)
NAMES = ('never', 'oldest', 'lru', 'popularity')


@dataclasses.dataclass
class Known:
    """An image, and what has become of its copy.

    :ivar clones: until when each of them lives, in seconds
    :ivar demanded: somebody has asked for a copy since it was made last
    :ivar made: how often it was
    """

    size: int
    facts: Facts
    use: uses.Use | None = None
    created: float = 0.0
    clones: list[float] = dataclasses.field(default_factory=list)
    demanded: bool = True
    made: int = 0

    def living(self, now: float) -> int:
        """Clones that live."""
        self.clones = [until for until in self.clones if until > now]
        return len(self.clones)


class Cloud:
    """A raw store with a budget, its agent, and its consumers.

    :ivar events: conversions and evictions, in their order
    """

    def __init__(self, policy: str, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now = 1_000_000.0
        self.policy = loading.load(policy, DAY)
        self.events: list[tuple[str, str]] = []
        self.known = {
            name: Known(
                self.dice.choice(SIZES),
                Facts(name, image=_image(self.now - DAY)),
            )
            for name in (f'image-{n}' for n in range(IMAGES))
        }

    # The budget

    def budget(self) -> budget.Budget:
        entries = [
            budget.Entry(name, known.size, False)
            for name, known in self.known.items()
            if known.facts.copy
        ]
        return budget.summed(entries, LIMITS)

    def candidates(self) -> list[Candidate]:
        found = []
        for name, known in self.known.items():
            copy, use = known.facts.copy, known.use or uses.Use()
            if copy is None or known.living(self.now):
                continue
            found.append(
                Candidate(
                    image_id=name,
                    rbd_id=copy.rbd_id,
                    bytes_used=known.size,
                    created=known.created,
                    last_used=use.last,
                    score=use.score,
                    scored_at=use.at,
                )
            )
        return found

    def relieve(self, needed: int = 0) -> None:
        """Evict what is to go."""
        now = self.budget()
        if not now.excess(needed):
            return
        usage = Usage(now.taken, now.limit, now.high, now.low)
        ranked = self.policy.rank(self.candidates(), usage, self.now)
        for copy in budget.chosen(ranked, now, needed):
            self.evict(copy)

    def evict(self, copy: Candidate) -> None:
        """Note it, and do it, unless the agent dies in between."""
        known = self.known[copy.image_id]
        noted = Evicted(self.now, 'x', copy.bytes_used, copy.rbd_id)
        known.facts = dataclasses.replace(known.facts, evicted=noted)
        self.events.append(('evicted', copy.image_id))
        if self.dice.random() < 0.8:
            known.facts = dataclasses.replace(known.facts, copy=None, rows=())

    # The agent

    def reconcile(self) -> None:
        """One pass."""
        names = list(self.known)
        self.dice.shuffle(names)
        for name in names:
            for action in plan.plan(self.facts(name), POLICY, self.now):
                if action.kind == Kind.CONVERT:
                    self.convert(name, action)
                else:
                    known = self.known[name]
                    known.facts = carried_out(self.facts(name), action, POLICY)
        self.relieve()

    def facts(self, name: str) -> Facts:
        """As the agent reads them."""
        known = self.known[name]
        copy, use = known.facts.copy, known.use
        if copy is not None:
            in_use = known.living(self.now) > 0
            copy = dataclasses.replace(copy, in_use=in_use)
        return dataclasses.replace(
            known.facts,
            copy=copy,
            asked=use.asked if use else None,
            used=use is not None,
        )

    def convert(self, name: str, action: object) -> None:
        """Make a copy, if there is room for it."""
        known = self.known[name]
        self.relieve(known.size)
        if self.budget().lacking(known.size):
            tried = known.facts.attempts
            count = tried.count + 1 if tried else 1
            version = POLICY.version(known.facts.image)
            failed = Attempts(count, False, 'No room.', self.now, version)
            known.facts = dataclasses.replace(known.facts, attempts=failed)
            return
        assert known.demanded, f'{name} is made again, and nobody has asked'
        known.demanded = False
        known.made += 1
        known.created = self.now
        made = carried_out(self.facts(name), action, POLICY)
        copy = Copy(f'{name}-{known.made}')
        known.facts = dataclasses.replace(made, copy=copy)
        self.events.append(('made', name))

    # Everybody else

    def consume(self, name: str) -> None:
        """A consumer wants a clone."""
        known = self.known[name]
        if known.facts.copy is not None:
            count = uses.Count(1, last=self.now)
            life = self.dice.choice([0.0, HOUR, 30 * HOUR])
            known.clones.append(self.now + life)
        elif known.facts.evicted is not None:
            count = uses.Count(asked=self.now)
            known.demanded = True
        else:
            return
        known.use = uses.added(known.use, count, DAY)

    def wish(self, name: str) -> None:
        """The tenant takes the wish back, or has it again."""
        known = self.known[name]
        had = known.facts.image.properties['raw_cache'] == 'true'
        image = _image(self.now, 'false' if had else 'true')
        known.facts = dataclasses.replace(known.facts, image=image)
        known.demanded = known.demanded or not had

    def step(self) -> None:
        """Something happens."""
        self.now += self.dice.expovariate(1 / (10 * MINUTE))
        # Some are asked for far more often than others.
        name = f'image-{int(IMAGES * self.dice.random() ** 3)}'
        [what] = self.dice.choices(
            [self.reconcile, self.consume, self.wish], [10, 30, 1]
        )
        what() if what == self.reconcile else what(name)


def _image(updated_at: float, raw_cache: str = 'true') -> Image:
    return Image(
        status='active',
        disk_format='qcow2',
        container_format='bare',
        properties={'raw_cache': raw_cache},
        updated_at=updated_at,
    )


@pytest.mark.parametrize('policy', NAMES)
@pytest.mark.parametrize('seed', range(3))
def test_no_copy_is_made_again_unless_somebody_has_asked(policy, seed):
    """Which :meth:`Cloud.convert` asserts."""
    cloud = Cloud(policy, seed)
    for _ in range(1500):
        cloud.step()
        assert cloud.budget().taken <= LIMITS.bytes

    made = [name for what, name in cloud.events if what == 'made']
    evictions = len(cloud.events) - len(made)
    if policy == 'never':
        assert evictions == 0
    else:
        assert len(made) > 2 * IMAGES, 'there was something to do'
        assert evictions > IMAGES


@pytest.mark.parametrize('policy', NAMES)
@pytest.mark.parametrize('seed', range(3))
def test_without_consumers_all_comes_to_rest(policy, seed):
    cloud = Cloud(policy, seed)
    for _ in range(300):
        cloud.step()

    for _ in range(40):  # a week: all clones are gone, all attempts made
        cloud.now += 4 * HOUR
        cloud.reconcile()
    before = list(cloud.events)
    for _ in range(100):
        cloud.now += HOUR
        cloud.reconcile()

    assert cloud.events == before
    assert cloud.budget().excess() == 0 or policy == 'never'


@pytest.mark.parametrize('policy', NAMES[1:])
def test_what_is_asked_for_all_the_time_is_there(policy):
    """The rule does not keep out what is wanted."""
    cloud = Cloud(policy, 1)
    cloud.reconcile()
    missed = 0
    for number in range(500):
        cloud.now += 10 * MINUTE
        cloud.consume(f'image-{number % IMAGES}')
        cloud.consume('image-0')
        missed += cloud.known['image-0'].facts.copy is None
        cloud.reconcile()

    assert missed <= 10


def test_the_simulation_notices_a_chase(monkeypatch):
    """It could not, if the wish alone made copies again."""
    monkeypatch.setattr(Evicted, 'is_over', lambda noted, asked: True)
    cloud = Cloud('lru', 1)

    def run():
        for _ in range(1500):
            cloud.step()

    with pytest.raises(AssertionError, match='nobody has asked'):
        run()
