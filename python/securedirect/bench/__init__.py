# SPDX-License-Identifier: Apache-2.0
"""The benchmark: the director beside no balancer, HAProxy and ModSecurity, in one lab and one run.

``variants`` says what is compared, ``rulesets`` with which rules, ``rig`` builds the lab and switches
between the variants, ``peers`` configures the other programs, ``load`` runs wrk and counts CPU time,
``results`` makes medians, ratios and verdicts, ``report`` writes them down, ``run`` does the rounds.
"""
