# SPDX-License-Identifier: Apache-2.0
"""Makes ordinary requests, any number of them, the same for the same seed: nobody who sends them is an attacker.

They are made from what clients of many kinds send, not from what the rules look for. When one of them is
diverted, a rule or the policy is wrong, not the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import administration
import applications
import background
import machines
import people
from clients import Browser

SEED = 20241112

VISITS: dict[str, tuple[int, people.Maker]] = {
    "page": (17, people.page),
    "asset": (14, people.asset),
    "search": (12, people.search),
    "form": (8, people.form),
    "upload": (3, people.upload),
    "sign-in": (3, background.sign_in),
    "measure": (5, background.measure),
    "live": (2, background.live),
    "wordpress": (3, applications.wordpress),
    "databases": (2, administration.databases),
    "operations": (4, administration.operations),
    "cloud": (3, applications.cloud),
    "development": (3, administration.development),
    "content-systems": (4, applications.content_systems),
}
PROGRAMS: dict[str, tuple[int, Callable[[Random, str], bytes]]] = {
    "crawler": (6, machines.crawler),
    "rest": (8, machines.rest),
    "webhook": (2, machines.webhook),
    "packages": (2, machines.packages),
    "health": (1, machines.health),
    "calendar": (2, machines.calendar),
}


def requests(count: int, seed: int = SEED) -> Iterator[tuple[str, bytes]]:
    """``count`` requests, each with the kind it is of."""
    r = Random(seed)
    kinds = [*VISITS, *PROGRAMS]
    weights = [weight for weight, _ in [*VISITS.values(), *PROGRAMS.values()]]
    made = 0
    while made < count:
        browser = Browser(r)
        for _ in range(min(count - made, r.randint(1, 12))):
            kind = r.choices(kinds, weights)[0]
            if kind in VISITS:
                yield kind, browser.send(VISITS[kind][1](r, browser.language))
            else:
                yield kind, PROGRAMS[kind][1](r, browser.language)
            made += 1
