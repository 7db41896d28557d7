# SPDX-License-Identifier: Apache-2.0
"""Which product a rule is for, so that rules for what a site does not run can be left out.

Said by, in this order: the rule file's name, the message, the publisher's metadata (``affected_product``,
``tag``, ``attack_target``), and the kind of script that the rule's own contents ask for (``.php``,
``.asp``). A rule that names nothing of all this is for any site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

from securedirect.rules.model import Content, Rule

# What the product's name looks like, and what else a site that runs it has.
_PRODUCTS: tuple[tuple[str, str, str], ...] = (
    ("iis", r"\bweb-iis\b|\bserver-iis\b|\bmicrosoft[ _]iis\b|\bIIS\b", "asp"),
    ("coldfusion", r"\bcold[ _]?fusion\b", ""),
    ("frontpage", r"\bfront[ _]?page\b", ""),
    ("wordpress", r"\bword[ _]?press\b", "php"),
    ("joomla", r"\bjoomla\b|\bcom_[a-z]+ component\b", "php"),
    ("drupal", r"\bdrupal\b", "php"),
    ("magento", r"\bmagento\b", "php"),
    ("typo3", r"\btypo3\b", "php"),
    ("mambo", r"\bmambo\b", "php"),
    ("phpnuke", r"\bphp-?nuke\b", "php"),
    ("phpbb", r"\bphpbb\b", "php"),
    ("vbulletin", r"\bvbulletin\b", "php"),
    ("moodle", r"\bmoodle\b", "php"),
    ("phpmyadmin", r"\bphpmyadmin\b", "php"),
    ("roundcube", r"\broundcube\b", "php"),
    ("sugarcrm", r"\bsugar ?crm\b", "php"),
    ("nagios", r"\bnagios\b", "php"),
    ("cacti", r"\bcacti\b", "php"),
    ("zabbix", r"\bzabbix\b", "php"),
    ("laravel", r"\blaravel\b", "php"),
    ("thinkphp", r"\bthinkphp\b", "php"),
    ("struts", r"\bstruts ?2?\b", "java"),
    ("spring", r"\bspring(?: boot| cloud| framework|4shell)\b", "java"),
    ("weblogic", r"\bweb ?logic\b", "java"),
    ("websphere", r"\bwebsphere\b", "java"),
    ("jboss", r"\bjboss\b|\bwildfly\b", "java"),
    ("tomcat", r"\btomcat\b", "java"),
    ("solr", r"\bsolr\b", "java"),
    ("confluence", r"\bconfluence\b", "java"),
    ("jira", r"\bjira\b", "java"),
    ("jenkins", r"\bjenkins\b", "java"),
    ("teamcity", r"\bteamcity\b", "java"),
    ("zimbra", r"\bzimbra\b", "java"),
    ("liferay", r"\bliferay\b", "java"),
    ("manageengine", r"\bmanageengine\b|\bzoho\b", "java"),
    ("elasticsearch", r"\belastic ?search\b", "java"),
    ("domino", r"\bdomino\b", ""),
    ("sharepoint", r"\bsharepoint\b", "iis"),
    ("exchange", r"\bmicrosoft exchange\b|\bexchange server\b|\bproxyshell\b|\bproxylogon\b|\bowa\b", "iis"),
    ("moveit", r"\bmoveit\b", "iis"),
    ("telerik", r"\btelerik\b", "asp"),
    ("gitlab", r"\bgitlab\b", "rails"),
    ("rails", r"\bruby on rails\b|\brails\b", ""),
    ("vmware", r"\bvmware\b|\bvcenter\b|\bvsphere\b", ""),
    ("oracle", r"\boracle (?:identity|e-business|application|fusion|reports?|9i|http)\b", ""),
    ("sap", r"\bsap (?:netweaver|web)\b", ""),
    ("netscape", r"\bnetscape\b|\biplanet\b", ""),
    ("viruswall", r"\bviruswall\b|\btrend ?micro\b", ""),
    ("citrix", r"\bcitrix\b|\bnetscaler\b", ""),
    ("f5", r"\bf5\b|\bbig-?ip\b", ""),
    ("fortinet", r"\bforti(?:gate|net|os|web|nac|mail)\b", ""),
    ("pulse", r"\bpulse ?(?:secure|connect)\b|\bivanti\b", ""),
    ("paloalto", r"\bpalo ?alto\b|\bpan-os\b|\bglobalprotect\b", ""),
    ("sonicwall", r"\bsonicwall\b", ""),
    ("cisco", r"\bcisco\b", ""),
    ("junos", r"\bjunos\b|\bjuniper\b", ""),
    ("qnap", r"\bqnap\b", "nas"),
    ("synology", r"\bsynology\b", "nas"),
    ("ics", r"\bscada\b|\ballen[ -]bradley\b|\bschweitzer\b|\bsiemens s7\b|\badvantech\b|\bwonderware\b", ""),
    (
        "iot",
        r"\bd-?link\b|\bnetgear\b|\blinksys\b|\btp-?link\b|\bbelkin\b|\bzyxel\b|\btenda\b|\bmikrotik\b"
        r"|\brouters?\b|\bip camera\b|\bdvr\b|\bnvr\b|\bmirai\b|\bmodem\b|\bgpon\b|\bhuawei\b|\brealtek\b"
        r"|\bhikvision\b|\bdahua\b",
        "",
    ),
    (
        "apache",
        r"\bserver-apache\b|\bapache http(?:[ _]server|d)?\b|\bmod_(?:php|rewrite|proxy|jk|cgi)\b",
        "",
    ),
    ("nginx", r"\bnginx\b", ""),
    ("php", r"\bweb-php\b", ""),
)
_ANY = re.compile("|".join(f"(?:{pattern})" for _, pattern, _ in _PRODUCTS), re.IGNORECASE)
_EACH = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern, _ in _PRODUCTS)
_NEEDS = {name: needs for name, _, needs in _PRODUCTS if needs}
_TARGETS = {"networking_equipment": "iot", "iot": "iot", "ics": "ics"}
_SCRIPTS = (
    (re.compile(rb"\.php[345]?(?:[?/&]|\Z)", re.IGNORECASE), "php"),
    (re.compile(rb"\.(?:aspx?|ashx|asmx|asa)(?:[?/&]|\Z)", re.IGNORECASE), "asp"),
    (re.compile(rb"\.(?:jspx?|jsf|action)(?:[?/&]|\Z)", re.IGNORECASE), "java"),
    (re.compile(rb"\.cf[mc](?:[?/&]|\Z)", re.IGNORECASE), "coldfusion"),
)

TECHNOLOGIES = tuple(
    sorted({name for name, _, _ in _PRODUCTS} | set(_NEEDS.values()) | {"asp", "java", "php"})
)
"""All names that a rule can be for."""


def unknown(names: Iterable[str]) -> list[str]:
    """What to tell of each name that no rule is for: by a slip of the pen rules would be off."""
    told = []
    for name in dict.fromkeys(name.strip().lower() for name in names):
        if name and name not in TECHNOLOGIES:
            near = get_close_matches(name, TECHNOLOGIES, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f": {', '.join(TECHNOLOGIES)}"
            told.append(f"technologies: {name!r} is none that rules are for{hint}")
    return told


def running(names: Iterable[str]) -> frozenset[str]:
    """What a site that runs ``names`` runs besides: WordPress is PHP."""
    found: set[str] = set()
    todo = [name.strip().lower() for name in names]
    while todo:
        name = todo.pop()
        if name and name not in found:
            found.add(name)
            todo.append(_NEEDS.get(name, ""))
    return frozenset(found)


def product(rule: Rule, file: str) -> str:
    """The product that ``rule`` from the file of that name is for, empty for none in particular."""
    affected = " ".join(value for key, value in rule.metadata if key in ("affected_product", "tag"))
    text = f"{rule.msg} {affected.replace('_', ' ')}"
    named = _named(file) or (_named(text) if _ANY.search(text) else "")
    if named and named != "php":
        return named
    for key, value in rule.metadata:
        if key == "attack_target" and value.lower() in _TARGETS:
            return _TARGETS[value.lower()]
    return named or _script(rule)


@lru_cache(maxsize=1024)
def _named(text: str) -> str:
    return next((name for name, pattern in _EACH if pattern.search(text)), "")


def _script(rule: Rule) -> str:
    for test in rule.tests:
        if (
            isinstance(test, Content)
            and not test.negated
            and test.buffer in ("raw", "http_uri", "http_raw_uri")
        ):
            for pattern, name in _SCRIPTS:
                found = pattern.search(test.pattern)
                # Behind "=" stands a file that an attacker brings along.
                if found and b"=" not in test.pattern[: found.start()]:
                    return name
    return ""
