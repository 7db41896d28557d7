# SPDX-License-Identifier: Apache-2.0
"""What is compared: the variants of the site, and the two requests that each of them is asked.

A row of the result is a variant and a request; its name is the variant's, with the suffix ``-browser`` for
the browser's request.
"""

from __future__ import annotations

from dataclasses import dataclass

DIRECT = "direct"
UNINSPECTED = "uninspected"
RULES_516 = "rules-516"
RULES_ET = "rules-et2024"
HAPROXY = "haproxy"
MODSECURITY = "modsecurity-crs"

VARIANTS: dict[str, str] = {
    DIRECT: "no balancer: the router sends the VIP's packets straight to the web server",
    UNINSPECTED: "the director with inspector.mode = off: balances, judges nothing",
    RULES_516: "the director with the 516 web rules of the paper's time (sid up to 1457)",
    RULES_ET: "the director with all Emerging Threats 2024 rules that load for a web server",
    HAPROXY: "HAProxy in HTTP mode, 2 threads, keep-alive on both sides",
    MODSECURITY: "nginx as a reverse proxy with ModSecurity and the OWASP CRS, blocking",
}

BROWSER_SUFFIX = "-browser"
HOST = "shop.example.org"
PAGE = "/contact.html"

# What wrk sends by itself: its Host is an address, which the CRS reports (rule 920350) without blocking. The
# rows with a browser's headers are without that.
BARE_HEADERS: tuple[str, ...] = ()
BROWSER_HEADERS: tuple[str, ...] = (
    f"Host: {HOST}",
    "Connection: keep-alive",
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-User: ?1",
    "Sec-Fetch-Dest: document",
    f"Referer: http://{HOST}/products.html",
    "Accept-Encoding: gzip, deflate",
    "Accept-Language: en-GB,en;q=0.9",
)


def plain_request(headers: tuple[str, ...]) -> bytes:
    """What wrk sends with these headers; without a Host it names the address."""
    lines = headers if headers else ("Host: 192.0.2.100",)
    return "\r\n".join((f"GET {PAGE} HTTP/1.1", *lines, "", "")).encode()


def unknown_requests(count: int) -> list[bytes]:
    """A browser's requests of which none has a line that another one has, but what cannot vary."""

    def header(line: str, number: int) -> str:
        return line if line.startswith("Connection") else f"{line}{number}"

    def one(number: int) -> bytes:
        lines = (f"GET {PAGE}?{number} HTTP/1.1", *(header(line, number) for line in BROWSER_HEADERS))
        return "\r\n".join((*lines, "", "")).encode()

    return [one(number) for number in range(1000, 1000 + count)]


@dataclass(frozen=True)
class Row:
    """One line of the result."""

    variant: str
    browser: bool = False

    @property
    def name(self) -> str:
        return self.variant + BROWSER_SUFFIX * self.browser

    @property
    def headers(self) -> tuple[str, ...]:
        return BROWSER_HEADERS if self.browser else BARE_HEADERS

    @property
    def inspected(self) -> bool:
        """Every request of it has to be judged by the inspector."""
        return self.variant in (RULES_516, RULES_ET)


def rows(only: tuple[str, ...] = (), *, browser: bool = True) -> list[Row]:
    """The rows to measure: all, or those named (a variant's name means both its requests). ValueError names
    one that does not exist."""
    every = [Row(variant, kind) for variant in VARIANTS for kind in ([False, True] if browser else [False])]
    known = {row.name for row in every}
    for name in only:
        if name not in known:
            raise ValueError(name)
    return [row for row in every if not only or row.name in only or row.variant in only]


def order(names: list[str], number: int) -> list[str]:
    """The variants in the order of one round: each round begins with another one, so that none always
    follows the same one."""
    shift = number % len(names) if names else 0
    return names[shift:] + names[:shift]
