# SPDX-License-Identifier: Apache-2.0
"""Who sends requests: browsers with their headers and cookies, proxies on the way, and how a request is written."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote, quote_plus

import words

SITES = (
    "www.example.org shop.example.com example.net blog.example.org intranet.example.com api.example.org"
    " cdn.example.net m.example.com xn--mnchen-3ya.example 192.0.2.10 [2001:db8::1] app.example.io:8080"
    " cloud.example.eu git.example.dev forum.example.org static.example.com"
).split()

CHROME = "Mozilla/5.0 ({os}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36"
DESKTOPS = (
    "Windows NT 10.0; Win64; x64",
    "Macintosh; Intel Mac OS X 10_15_7",
    "X11; Linux x86_64",
    "X11; CrOS x86_64 14541.0.0",
)
FETCH_MODES = {
    "page": ("document", "navigate", "?1"),
    "style": ("style", "no-cors", ""),
    "script": ("script", "no-cors", ""),
    "image": ("image", "no-cors", ""),
    "font": ("font", "cors", ""),
    "media": ("video", "no-cors", ""),
    "xhr": ("empty", "cors", ""),
    "frame": ("iframe", "navigate", "?1"),
    "form": ("document", "navigate", "?1"),
}
ACCEPT = {
    "page": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "style": "text/css,*/*;q=0.1",
    "image": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "xhr": "application/json, text/plain, */*",
}


@dataclass
class Request:
    """One request before it is written: ``kind`` is what a browser fetches it as (see FETCH_MODES)."""

    method: str
    target: str
    kind: str = "page"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    content_type: str = ""
    chunked: bool = False
    version: str = "HTTP/1.1"
    host: str = ""

    def written(self, headers: list[tuple[str, str]]) -> bytes:
        """The bytes on the wire with ``headers`` in that order."""
        lines = [f"{self.method} {self.target} {self.version}"]
        lines += [f"{name}: {value}" for name, value in headers]
        body = self.body
        if body is not None:
            if self.chunked:
                lines.append("Transfer-Encoding: chunked")
                size = max(1, len(body) // 3 + 1)
                cut = [body[i : i + size] for i in range(0, len(body), size)]
                body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in cut) + b"0\r\n\r\n"
            else:
                lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + (body or b"")


def multipart(r: Random, parts: list[tuple[str, str, str, bytes]]) -> tuple[bytes, str]:
    """A multipart body of (name, filename, type, content) and its content type."""
    mark = r.choice(
        [
            "----WebKitFormBoundary" + words.identifier(r, 16).replace("-", "A").replace("_", "B"),
            "-" * 27 + words.digits(r, 29),
            words.hexadecimal(r, 32),
            "Boundary-" + words.uuid(r).upper(),
            "===============" + words.digits(r, 19) + "==",
        ]
    )
    out = bytearray()
    for name, filename, kind, content in parts:
        out += f'--{mark}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if filename:
            out += f'; filename="{filename}"'.encode()
        if kind:
            out += f"\r\nContent-Type: {kind}".encode()
        out += b"\r\n\r\n" + content + b"\r\n"
    out += f"--{mark}--\r\n".encode()
    shown = f'"{mark}"' if "=" in mark else mark
    return bytes(out), f"multipart/form-data; boundary={shown}"


def jwt(r: Random) -> str:
    def part(value: object) -> str:
        return (
            base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()
        )

    body = {
        "sub": words.uuid(r),
        "name": words.name(r),
        "iat": 1_700_000_000 + r.randrange(10**7),
        "scope": words.words(r, 1, 4),
    }
    return f"{part({'alg': 'RS256', 'kid': words.hexadecimal(r, 8)})}.{part(body)}.{words.identifier(r, 342)}"


def blob(r: Random, size: int) -> str:
    """Bytes in base64, as tokens and states are."""
    return base64.b64encode(r.randbytes(size)).decode()


def cookies(r: Random) -> str:
    """A cookie header's value: sessions, consent, analytics, preferences, from none to very many."""
    stamp = 1_700_000_000 + r.randrange(10**7)
    made: list[str] = []

    def json_value() -> str:
        value = {
            "id": words.uuid(r),
            "q": words.query(r),
            "v": [r.randrange(9), None, True],
            "name": words.name(r),
        }
        return json.dumps(
            value, ensure_ascii=r.random() < 0.5, separators=(",", ":") if r.random() < 0.5 else None
        )

    makers = [
        lambda: f"_ga=GA1.2.{words.digits(r, 9)}.{stamp}",
        lambda: f"_ga_{words.identifier(r, 10).upper()}=GS1.1.{stamp}.{r.randrange(40)}.1.{stamp + 60}.0.0.0",
        lambda: f"_gid=GA1.2.{words.digits(r, 9)}.{stamp}",
        lambda: f"_fbp=fb.1.{stamp}123.{words.digits(r, 9)}",
        lambda: f"_gcl_au=1.1.{words.digits(r, 9)}.{stamp}",
        lambda: f"__utmz=1.{stamp}.1.1.utmcsr=google|utmccn=(organic)|utmcmd=organic|utmctr=(not%20provided)",
        lambda: f"__utma=1.{words.digits(r, 9)}.{stamp}.{stamp}.{stamp}.{r.randrange(30)}",
        lambda: f"_pk_id.1.{words.hexadecimal(r, 4)}={words.hexadecimal(r, 16)}.{stamp}.1.{stamp}.{stamp}.",
        lambda: (
            f"_pk_ref.1.{words.hexadecimal(r, 4)}={quote(json.dumps(['', '', stamp, 'https://www.google.com/']))}"
        ),
        lambda: f"PHPSESSID={words.hexadecimal(r, 26)}",
        lambda: f"JSESSIONID={words.hexadecimal(r, 32).upper()}.node{r.randrange(9)}",
        lambda: f"ASP.NET_SessionId={words.identifier(r, 24).lower()}",
        lambda: f".AspNetCore.Antiforgery.{words.identifier(r, 11)}={words.identifier(r, 155)}",
        lambda: f"connect.sid=s%3A{words.identifier(r, 32)}.{quote(blob(r, 32), safe='')}",
        lambda: (
            f"laravel_session={quote(base64.b64encode(json.dumps({'iv': blob(r, 16), 'value': blob(r, 120), 'mac': words.hexadecimal(r, 64)}).encode()).decode(), safe='')}"
        ),
        lambda: f"XSRF-TOKEN={words.identifier(r, 40)}",
        lambda: f"csrftoken={words.identifier(r, 64).replace('-', 'x')}",
        lambda: f"token={jwt(r)}",
        lambda: f"session={base64.b64encode(json_value().encode()).decode()}",
        lambda: f"session=.{words.identifier(r, 300)}.{words.identifier(r, 6)}.{words.identifier(r, 27)}",
        lambda: f"prefs={quote(json_value())}",
        lambda: f"prefs={json_value()}".encode("ascii", "replace").decode().replace(";", ","),
        lambda: f"theme={{%22a%22:1}}; dark={r.choice(['true', 'false', '1', ''])}",
        lambda: f"last_search={words.encoded(r, words.query(r))}",
        lambda: f"recent={quote(','.join(words.slug(r) for _ in range(r.randint(1, 8))))}",
        lambda: f'name="{words.word(r)} {words.word(r)}"',
        lambda: (
            "OptanonConsent=isGpcEnabled=0&datestamp=Tue+Nov+12+2024+10%3A11%3A12+GMT%2B0100+(Mitteleurop%C3%A4ische+Normalzeit)"
            f"&version=202405.1.0&hosts=&consentId={words.uuid(r)}&interactionCount=1&groups=C0001%3A1%2CC0002%3A0&geolocation=DE%3BBY"
        ),
        lambda: (
            f"CookieConsent={{stamp:%27{blob(r, 33)}%27%2Cnecessary:true%2Cpreferences:false%2Cver:1%2Cutc:{stamp}123%2Cregion:%27de%27}}"
        ),
        lambda: f"euconsent-v2={words.identifier(r, 180)}",
        lambda: (
            f"AMCV_{words.hexadecimal(r, 24).upper()}%40AdobeOrg=-1712354808%7CMCIDTS%7C19{r.randrange(1000)}%7CMCMID%7C{words.digits(r, 38)}%7CvVersion%7C4.3.0"
        ),
        lambda: (
            f"_hjSessionUser_{words.digits(r, 7)}={base64.b64encode(json.dumps({'id': words.uuid(r), 'created': stamp, 'existing': True}).encode()).decode()}"
        ),
        lambda: f"ajs_anonymous_id=%22{words.uuid(r)}%22; ajs_user_id=null",
        lambda: (
            f"mp_{words.hexadecimal(r, 32)}_mixpanel={quote(json.dumps({'distinct_id': words.uuid(r), '$device_id': words.uuid(r), '$initial_referrer': '$direct'}))}"
        ),
        lambda: (
            f"intercom-session-{words.identifier(r, 8).lower()}={blob(r, 90)}--{words.hexadecimal(r, 40)}"
        ),
        lambda: (
            f"wordpress_logged_in_{words.hexadecimal(r, 32)}={quote(words.word(r) + '|' + str(stamp) + '|' + words.identifier(r, 43) + '|' + words.hexadecimal(r, 64))}; wp-settings-1=libraryContent%3Dbrowse%26editor%3Dhtml%26posts_list_mode%3Dlist; wp-settings-time-1={stamp}"
        ),
        lambda: f"SESS{words.hexadecimal(r, 32)}={words.identifier(r, 43)}; has_js=1",
        lambda: (
            f"mage-cache-sessid=true; mage-messages=%5B%5D; section_data_ids=%7B%22cart%22%3A{stamp}%2C%22customer%22%3A{stamp}%7D; form_key={words.identifier(r, 16)}"
        ),
        lambda: (
            f"pma_lang=en; phpMyAdmin={words.hexadecimal(r, 32)}; pmaUser-1={quote(json.dumps({'iv': blob(r, 16), 'mac': words.hexadecimal(r, 40), 'payload': blob(r, 24)}))}; pmaAuth-1=%7B%22payload%22%3A%22{quote(blob(r, 40))}%22%7D"
        ),
        lambda: (
            f"cf_clearance={words.identifier(r, 43)}-{stamp}-1.0.1.1-{words.identifier(r, 86)}; __cf_bm={words.identifier(r, 43)}-{stamp}-1.0.1.1-{words.identifier(r, 86)}"
        ),
        lambda: f"incap_ses_{r.randrange(999)}_{words.digits(r, 7)}={blob(r, 40)}",
        lambda: f"visid_incap_{words.digits(r, 7)}={blob(r, 60)}",
        lambda: (
            f"bm_sz={words.hexadecimal(r, 32).upper()}~YAAQ{words.identifier(r, 60)}~{words.digits(r, 7)}~{words.digits(r, 7)}; _abck={words.hexadecimal(r, 32).upper()}~-1~YAAQ{words.identifier(r, 60)}+/=~-1~-1~-1"
        ),
        lambda: f"tz=Europe%2FBerlin; lang={r.choice(list(words.LANGUAGES))}; currency=EUR",
        lambda: (
            f"cart=%5B%7B%22sku%22%3A%22{words.word(r)}-{r.randrange(999)}%22%2C%22n%22%3A{r.randrange(9)}%7D%5D"
        ),
        lambda: f"redirect={quote('/' + words.slug(r) + '?a=' + quote(words.query(r)), safe='')}",
        lambda: f"flash={quote(words.text(r, 1))}",
        lambda: "lo-uid=" + words.hexadecimal(r, 8) + "-" + words.hexadecimal(r, 12) + "; lo-visits=1",
        lambda: f"grafana_session={words.hexadecimal(r, 32)}; grafana_session_expiry={stamp}",
        lambda: (
            f"oc_sessionPassphrase={quote(blob(r, 96), safe='')}; nc_sameSiteCookielax=true; nc_sameSiteCookiestrict=true; nc_username={words.word(r)}; nc_token={quote(blob(r, 24), safe='')}"
        ),
        lambda: (
            f"_gitlab_session={words.hexadecimal(r, 32)}; known_sign_in={quote(blob(r, 80), safe='')}--{words.identifier(r, 22)}; preferred_language=en"
        ),
    ]
    for _ in range(min(30, int(r.expovariate(1 / 4)))):
        made.append(r.choice(makers)())
    return "; ".join(made)


class Browser:
    """One visitor: the same headers and cookies for all requests of a visit."""

    def __init__(self, r: Random) -> None:
        self.r = r
        self.language = r.choice(list(words.LANGUAGES)) if r.random() < 0.6 else "en-US"
        self.host = r.choice(SITES)
        self.cookies = cookies(r)
        self.family = r.choices(
            ["chrome", "firefox", "safari", "edge", "android", "iphone", "samsung", "old", "text", "app"],
            [30, 14, 9, 9, 15, 12, 4, 3, 1, 3],
        )[0]
        self.version = r.randint(90, 131)
        self.agent = self._agent()

    def _agent(self) -> str:
        r, v = self.r, self.version
        match self.family:
            case "chrome":
                return CHROME.format(os=r.choice(DESKTOPS), v=v)
            case "edge":
                return (
                    CHROME.format(os=DESKTOPS[0], v=v) + f" Edg/{v}.0.{r.randrange(3000)}.{r.randrange(99)}"
                )
            case "firefox":
                os = r.choice(
                    (
                        "Windows NT 10.0; Win64; x64",
                        "Macintosh; Intel Mac OS X 10.15",
                        "X11; Linux x86_64",
                        "X11; Ubuntu; Linux x86_64",
                        "Android 14; Mobile",
                    )
                )
                return f"Mozilla/5.0 ({os}; rv:{v}.0) Gecko/20100101 Firefox/{v}.0"
            case "safari":
                return f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{r.randint(13, 18)}.{r.randrange(6)} Safari/605.1.15"
            case "android":
                phone = r.choice(
                    ("K", "Pixel 7", "SM-G991B", "moto g(30)", "Redmi Note 8 Pro", "CPH2211", "M2101K6G; wv")
                )
                return f"Mozilla/5.0 (Linux; Android {r.randint(8, 15)}; {phone}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.{r.randrange(6000)}.{r.randrange(200)} Mobile Safari/537.36"
            case "samsung":
                return f"Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-A536B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/{r.randint(15, 26)}.0 Chrome/{v}.0.0.0 Mobile Safari/537.36"
            case "iphone":
                tail = r.choice(
                    (
                        " Safari/604.1",
                        "",
                        " Instagram 300.0.0.29.110 (iPhone14,5; iOS 17_0; de_DE; de; scale=3.00; 1170x2532; 500160596)",
                        " [FBAN/FBIOS;FBAV/440.0.0.33.116;FBBV/1;FBDV/iPhone13,2;FBMD/iPhone;FBSN/iOS;FBSV/16.6;FBSS/3;FBID/phone;FBLC/fr_FR;FBOP/5]",
                    )
                )
                return f"Mozilla/5.0 (iPhone; CPU iPhone OS {r.randint(14, 18)}_{r.randrange(7)} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148{tail}"
            case "old":
                return r.choice(
                    (
                        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
                        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; SLCC2; .NET CLR 2.0.50727; .NET4.0C)",
                        "Opera/9.80 (Windows NT 6.1; U; en) Presto/2.12.388 Version/12.18",
                        "Mozilla/5.0 (Linux; U; Android 4.0.3; de-de; GT-I9100) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
                        "Mozilla/5.0 (SMART-TV; Linux; Tizen 5.0) AppleWebKit/538.1 (KHTML, like Gecko) Version/5.0 TV Safari/538.1",
                        "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
                    )
                )
            case "text":
                return r.choice(
                    (
                        "Lynx/2.9.0 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.7.8",
                        "w3m/0.5.3+git20230121",
                        "Links (2.28; Linux 6.1.0 x86_64; GNU C 12.2; text)",
                        "ELinks/0.16.1 (textmode; Debian; Linux 6.1.0-18-amd64 x86_64; 80x24-2)",
                        "Dillo/3.0.5",
                    )
                )
            case _:
                return r.choice(
                    (
                        "okhttp/4.12.0",
                        "Shop/5.2.1 (com.example.shop; build:412; iOS 17.4.1) Alamofire/5.8.1",
                        "Dalvik/2.1.0 (Linux; U; Android 13; SM-S901B Build/TP1A.220624.014)",
                        "ExampleApp/3 CFNetwork/1494.0.7 Darwin/23.4.0",
                        "Dart/3.3 (dart:io)",
                        "Expo/2.31 UnityPlayer/2022.3.10f1 (UnityWebRequest/1.0, libcurl/8.1.1-DEV)",
                    )
                )

    def send(self, request: Request) -> bytes:
        r = self.r
        h: list[tuple[str, str]] = [("Host", request.host or self.host)]
        own = {name.lower() for name, _ in request.headers}
        modern = self.family in ("chrome", "edge", "android", "samsung")
        bare = self.family in ("text", "app")
        if not bare and r.random() < 0.85:
            h.append(("Connection", "keep-alive"))
        if request.kind == "page" and r.random() < 0.1 and not bare:
            h.append(("Cache-Control", "max-age=0"))
        if modern:
            brand = "Microsoft Edge" if self.family == "edge" else "Google Chrome"
            mobile = "?1" if self.family in ("android", "samsung") else "?0"
            os = (
                '"Android"'
                if mobile == "?1"
                else r.choice(('"Windows"', '"macOS"', '"Linux"', '"Chrome OS"'))
            )
            h += [
                (
                    "sec-ch-ua",
                    f'"Not_A Brand";v="8", "Chromium";v="{self.version}", "{brand}";v="{self.version}"',
                ),
                ("sec-ch-ua-mobile", mobile),
                ("sec-ch-ua-platform", os),
            ]
        if request.content_type:
            h.append(("Content-Type", request.content_type))
        if request.kind in ("page", "form", "frame") and not bare:
            h.append(("Upgrade-Insecure-Requests", "1"))
        h.append(("User-Agent", self.agent))
        if "accept" not in own:
            h.append(
                ("Accept", ACCEPT.get("page" if request.kind in ("form", "frame") else request.kind, "*/*"))
            )
        if request.method not in ("GET", "HEAD") or (request.kind in ("font", "xhr") and r.random() < 0.3):
            h.append(("Origin", f"https://{self.host}"))
        if modern or self.family in ("firefox", "iphone", "safari"):
            dest, mode, user = FETCH_MODES[request.kind]
            h += [
                ("Sec-Fetch-Site", r.choice(("same-origin", "none", "cross-site", "same-site"))),
                ("Sec-Fetch-Mode", mode),
            ]
            if user and r.random() < 0.8:
                h.append(("Sec-Fetch-User", user))
            h.append(("Sec-Fetch-Dest", dest))
        if "referer" not in own and r.random() < 0.6:
            h.append(("Referer", referer(r, self.host)))
        if not bare or r.random() < 0.5:
            h.append(
                (
                    "Accept-Encoding",
                    r.choice(
                        ("gzip, deflate", "gzip, deflate, br", "gzip, deflate, br, zstd", "identity", "gzip")
                    ),
                )
            )
            base = self.language.split("-")[0]
            h.append(
                (
                    "Accept-Language",
                    f"{self.language},{base};q=0.9,en-US;q=0.8,en;q=0.7"
                    if r.random() < 0.8
                    else "en-US,en;q=0.5",
                )
            )
        if r.random() < 0.05:
            h.append(("DNT", "1"))
        if request.kind != "page" and r.random() < 0.1:
            h += [
                (
                    "If-None-Match",
                    r.choice(
                        (
                            f'"{words.hexadecimal(r, 12)}-{words.hexadecimal(r, 4)}"',
                            f'W/"{words.hexadecimal(r, 10)}"',
                        )
                    ),
                ),
                ("If-Modified-Since", "Tue, 12 Nov 2024 08:12:31 GMT"),
            ]
        h += request.headers
        if self.cookies and "cookie" not in own and r.random() < 0.85:
            h.append(("Cookie", self.cookies))
        if r.random() < 0.12:
            h += forwarded(r)
        if request.method in ("POST", "PUT", "PATCH") and request.body is None:
            request.body = b""
        return request.written(h)


def referer(r: Random, host: str) -> str:
    kind = r.random()
    if kind < 0.5:
        return f"https://{host}/{words.slug(r)}"
    if kind < 0.7:
        return f"https://{host}/search?q={words.encoded(r, words.query(r))}"
    if kind < 0.85:
        return r.choice(
            (
                "https://www.google.com/",
                "https://duckduckgo.com/",
                "https://t.co/",
                "android-app://com.google.android.googlequicksearchbox/",
                "https://www.bing.com/",
                "https://l.facebook.com/",
                "https://yandex.ru/",
            )
        )
    ad = f"https://www.google.com/aclk?sa=l&ai=D{words.identifier(r, 120)}&sig=AOD64_{words.identifier(r, 28)}&adurl=https://{host}/%3Fgclid%3D{words.identifier(r, 40)}"
    return r.choice(
        (
            ad,
            f"http://{host}/index.php?option=com_content&view=article&id={r.randrange(99)}:{words.slug(r)}",
            f"https://www.google.de/url?sa=t&rct=j&q=&esrc=s&url=https%3A%2F%2F{host}%2F&ved={words.identifier(r, 40)}",
        )
    )


def forwarded(r: Random) -> list[tuple[str, str]]:
    """What proxies, CDNs and tracing add."""
    address = f"198.51.100.{r.randrange(256)}"
    return r.choice(
        (
            [
                ("X-Forwarded-For", f"{address}, 10.0.0.{r.randrange(256)}"),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Port", "443"),
            ],
            [("X-Real-IP", address), ("Via", "1.1 varnish (Varnish/7.1), 1.1 proxy.example (squid/5.7)")],
            [("Forwarded", f'for="[2001:db8::{words.hexadecimal(r, 4)}]:4711";proto=https;by=203.0.113.43')],
            [
                ("CF-Connecting-IP", address),
                ("CF-Ray", f"{words.hexadecimal(r, 16)}-FRA"),
                ("CF-Visitor", '{"scheme":"https"}'),
                ("CF-IPCountry", "DE"),
                ("CDN-Loop", "cloudflare"),
            ],
            [
                ("traceparent", f"00-{words.hexadecimal(r, 32)}-{words.hexadecimal(r, 16)}-01"),
                ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
                ("baggage", f"userId={r.randrange(999)},serverNode=DF%2028,isProduction=false"),
            ],
            [
                ("X-Amzn-Trace-Id", f"Root=1-{words.hexadecimal(r, 8)}-{words.hexadecimal(r, 24)}"),
                ("X-Request-ID", words.uuid(r)),
            ],
            [("X-Requested-With", "com.android.browser"), ("Save-Data", "on")],
            [("X-Bluecoat-Via", words.hexadecimal(r, 16)), ("Cache-Control", "max-stale=0")],
        )
    )


AGENTS = (
    "curl/7.88.1|Wget/1.21.3|python-requests/2.31.0|Python-urllib/3.11|aiohttp/3.9.1|Go-http-client/1.1|Java/17.0.9"
    "|Apache-HttpClient/4.5.14 (Java/17.0.9)|okhttp/4.12.0|axios/1.6.7|node-fetch/1.0 (+https://github.com/bitinn/node-fetch)"
    "|libwww-perl/6.68|Ruby|Faraday v2.7.4|GuzzleHttp/7|PostmanRuntime/7.36.1|insomnia/8.6.1|Dart/3.2 (dart:io)"
    "|PHP/8.2|Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)|reqwest/0.11|got (https://github.com/sindresorhus/got)"
    "|RestSharp/110.2.0.0|HTTPie/3.2.2|Jersey/2.41 (HttpUrlConnection 17.0.9)|Zapier|n8n|Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.22621.2506"
).split("|")


def program(r: Random, request: Request, agent: str = "") -> bytes:
    """A request as programs send it: few headers, sometimes odd ones."""
    chosen = agent or r.choice(AGENTS)
    h = [("Host", request.host or r.choice(SITES))]
    own = {name.lower() for name, _ in request.headers}
    if r.random() < 0.95 or agent:
        h.append(("User-Agent", chosen))
    if "accept" not in own and r.random() < 0.9:
        h.append(
            (
                "Accept",
                r.choice(
                    ("*/*", "application/json", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "*/*")
                ),
            )
        )
    if r.random() < 0.6:
        h.append(
            (
                "Accept-Encoding",
                r.choice(
                    (
                        "gzip, deflate",
                        "gzip",
                        "gzip,deflate,br",
                        "identity",
                        "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
                    )
                ),
            )
        )
    if r.random() < 0.4:
        h.append(("Connection", r.choice(("keep-alive", "close", "Keep-Alive", "TE, close"))))
        if h[-1][1].startswith("TE"):
            h.insert(1, ("TE", "deflate,gzip;q=0.3"))
    if "authorization" not in own and r.random() < 0.35:
        secret = base64.b64encode(f"{words.word(r)}:{words.password(r)}".encode()).decode()
        h.append(
            (
                "Authorization",
                r.choice(
                    (
                        f"Basic {secret}",
                        f"Bearer {jwt(r)}",
                        f"Bearer {words.identifier(r, 40)}",
                        f"token {words.hexadecimal(r, 40)}",
                        f"ApiKey {secret}",
                    )
                ),
            )
        )
    h += request.headers
    if r.random() < 0.12:
        h += forwarded(r)
    if request.content_type:
        h.append(("Content-Type", request.content_type))
    if request.body is not None and not request.chunked and len(request.body) > 200 and r.random() < 0.05:
        request.body = gzip.compress(request.body, mtime=0)
        h.append(("Content-Encoding", "gzip"))
    if request.body is not None and len(request.body) > 1000 and "curl" in chosen:
        h.append(("Expect", "100-continue"))
    if request.body is not None and r.random() < 0.1:
        request.chunked = True
    if r.random() < 0.15:
        h = [(name.lower(), value) for name, value in h]
    return request.written(h)


def json_body(value: object, r: Random) -> bytes:
    spaced = r.random() < 0.4
    text = json.dumps(
        value,
        ensure_ascii=r.random() < 0.5,
        separators=None if spaced else (",", ":"),
        indent=2 if r.random() < 0.05 else None,
    )
    return text.encode()


def plus(value: str) -> str:
    return quote_plus(value)
