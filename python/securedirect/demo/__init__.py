# SPDX-License-Identifier: Apache-2.0
"""The main job, shown live: real traffic in a lab of its own, what was measured, whether it is as promised.

Nothing printed here is prepared: every number is measured in this run, and every mark (✓ or ✗) is computed
from it. ``show.run`` is the way in; ``attack``, ``balance``, ``failure`` and ``mistakes`` hold the scenes.
"""
