# SPDX-License-Identifier: Apache-2.0
"""Attack classes: the well-known names with description and priority, and ``classification.config`` files.

The built-in table holds the names that Snort's and Emerging Threats' rules use; descriptions are those that
other tools show for them, so that events agree with theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from securedirect.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Classification:
    """One class: ``priority`` 1 is the gravest."""

    name: str
    description: str
    priority: int


_TABLE = """
not-suspicious|Not Suspicious Traffic|3
unknown|Unknown Traffic|3
bad-unknown|Potentially Bad Traffic|2
attempted-recon|Attempted Information Leak|2
successful-recon-limited|Information Leak|2
successful-recon-largescale|Large Scale Information Leak|2
attempted-dos|Attempted Denial of Service|2
successful-dos|Denial of Service|2
attempted-user|Attempted User Privilege Gain|1
unsuccessful-user|Unsuccessful User Privilege Gain|1
successful-user|Successful User Privilege Gain|1
attempted-admin|Attempted Administrator Privilege Gain|1
successful-admin|Successful Administrator Privilege Gain|1
rpc-portmap-decode|Decode of an RPC Query|2
shellcode-detect|Executable code was detected|1
string-detect|A suspicious string was detected|3
suspicious-filename-detect|A suspicious filename was detected|2
suspicious-login|An attempted login using a suspicious username was detected|2
system-call-detect|A system call was detected|2
tcp-connection|A TCP connection was detected|4
trojan-activity|A Network Trojan was detected|1
unusual-client-port-connection|A client was using an unusual port|2
network-scan|Detection of a Network Scan|3
denial-of-service|Detection of a Denial of Service Attack|2
non-standard-protocol|Detection of a non-standard protocol or event|2
protocol-command-decode|Generic Protocol Command Decode|3
web-application-activity|access to a potentially vulnerable web application|2
web-application-attack|Web Application Attack|1
misc-activity|Misc activity|3
misc-attack|Misc Attack|2
icmp-event|Generic ICMP event|3
inappropriate-content|Inappropriate Content was Detected|1
policy-violation|Potential Corporate Privacy Violation|1
default-login-attempt|Attempt to login by a default username and password|2
sdf|Sensitive Data|2
file-format|Known malicious file or file based exploit|1
malware-cnc|Known malware command and control traffic|1
client-side-exploit|Known client side exploit attempt|1
targeted-activity|Targeted Malicious Activity was Detected|1
exploit-kit|Exploit Kit Activity Detected|1
external-ip-check|Device Retrieving External IP Address Detected|2
domain-c2|Domain Observed Used for C2 Detected|1
pup-activity|Possibly Unwanted Program Detected|2
credential-theft|Successful Credential Theft Detected|1
social-engineering|Possible Social Engineering Attempted|2
coin-mining|Crypto Currency Mining Activity Detected|2
command-and-control|Malware Command and Control Activity Detected|1
"""

BUILTIN = {
    name: Classification(name, description, int(priority))
    for name, description, priority in (line.split("|") for line in _TABLE.strip().splitlines())
}

_LINE = re.compile(r"config\s+classification\s*:\s*([^,]+?)\s*,\s*(.+?)\s*,\s*(\d+)\s*$")


def read_classification(path: Path) -> dict[str, Classification]:
    """Read a ``classification.config`` file. ConfigError when a line of it is wrong or the file cannot be
    read.
    """
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(
            f"cannot read it: {error.strerror}",
            file=str(path),
            hint="make it readable for this user or remove it",
        ) from None
    found: dict[str, Classification] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.match(stripped)
        if match is None:
            raise ConfigError(
                "no classification",
                file=str(path),
                line=number,
                column=len(line) - len(line.lstrip()) + 1,
                hint="write config classification: name,description,priority",
            )
        name = match[1].lower()
        found[name] = Classification(name, match[2], int(match[3]))
    return found
