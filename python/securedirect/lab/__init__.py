# SPDX-License-Identifier: Apache-2.0
"""A whole site of network namespaces on one machine, for the demo, the tests and the benchmarks.

The lab is a tool beside the product: nothing of the director depends on it. ``Lab`` is the way in; the other
modules are its parts: ``plan`` (who is there), ``netns`` and ``network`` (kernel side), ``website`` (nginx
and what it serves), ``settings`` (the director's configuration), ``processes`` and ``state`` (what runs, what
to remove).
"""

from securedirect.lab.capture import Capture
from securedirect.lab.lab import Lab
from securedirect.lab.plan import DEFAULT_NAME, Host, Plan
from securedirect.lab.state import running_labs

__all__ = ["DEFAULT_NAME", "Capture", "Host", "Lab", "Plan", "running_labs"]
