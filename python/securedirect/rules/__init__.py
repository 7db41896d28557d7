# SPDX-License-Identifier: Apache-2.0
"""Rule files of Snort 2, Snort 3 and Suricata: parsed, judged, and turned into the document the matcher
loads.
"""

from securedirect.rules.load import DEFAULT_RULES, load_rule_files
from securedirect.rules.model import RuleService
from securedirect.rules.report import RuleEntry, RuleReport

__all__ = ["DEFAULT_RULES", "RuleEntry", "RuleReport", "RuleService", "load_rule_files"]
