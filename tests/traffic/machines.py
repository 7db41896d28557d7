# SPDX-License-Identifier: Apache-2.0
"""What programs send: crawlers, API clients, webhooks, package managers, health checks, calendars of phones."""

from __future__ import annotations

import json
from random import Random
from urllib.parse import quote, quote_plus

import people
import words
from clients import Request, blob, json_body, multipart, program

CRAWLERS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.224 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Googlebot-Image/1.0",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    "Mozilla/5.0 (Applebot/0.1; +http://www.apple.com/go/applebot)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    "Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.1; +https://openai.com/gptbot",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
    "CCBot/2.0 (https://commoncrawl.org/faq/)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Twitterbot/1.0", "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "WhatsApp/2.23.20.0", "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/archive.org_bot)",
    "ia_archiver (+http://www.alexa.com/site/help/webmasters; crawler@alexa.com)",
    "W3C_Validator/1.3 http://validator.w3.org/services", "W3C-checklink/4.81 libwww-perl/6.44",
    "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers; like FeedFetcher-Google)",
    "Tiny Tiny RSS/23.05 (https://tt-rss.org/)", "NewsBlur Feed Fetcher - 12 subscribers", "AppleCoreMedia/1.0.0.21E236 (iPhone; U; CPU OS 17_4 like Mac OS X; de_de)",
    "Mozilla/5.0 (compatible; PetalBot;+https://webmaster.petalsearch.com/site/petalbot)", "msnbot/2.0b (+http://search.msn.com/msnbot.htm)",
    "Mediapartners-Google", "AdsBot-Google (+http://www.google.com/adsbot.html)", "Screaming Frog SEO Spider/19.8", "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
)  # fmt: skip


def crawler(r: Random, language: str) -> bytes:
    kind = r.random()
    if kind < 0.3:
        target = r.choice(
            (
                "/robots.txt",
                "/sitemap.xml",
                "/sitemap_index.xml",
                "/sitemap.xml.gz",
                "/post-sitemap2.xml",
                "/ads.txt",
                "/app-ads.txt",
                "/.well-known/security.txt",
                "/humans.txt",
                "/feed/",
                "/rss.xml",
                "/atom.xml?format=xml",
                "/index.rdf",
                "/favicon.ico",
                "/opensearch.xml",
                "/llms.txt",
                "/.well-known/traffic-advice",
                "/news.rss?cat=a&b",
            )
        )
        made = Request("GET", target)
    else:
        made = r.choice((people.page, people.page, people.search, people.asset))(r, language)
        if made.method == "POST":
            made = Request("GET", "/")
    made.headers = [("From", "bot(at)example.com")] if r.random() < 0.2 else []
    if r.random() < 0.2:
        made.headers.append(("If-Modified-Since", "Tue, 12 Nov 2024 08:12:31 GMT"))
    return program(r, made, r.choice(CRAWLERS))


def rest(r: Random, language: str) -> bytes:
    thing, number = words.word(r), r.randrange(10**5)
    item = {
        "id": number,
        "name": words.name(r),
        "note": words.text(r, 2, language),
        "price": round(r.random() * 100, 2),
        "tags": [words.word(r) for _ in range(r.randrange(5))],
        "meta": {"$type": thing, "a.b": None, "ok": True, "url": "https://example.org/?a=b&c=d"},
        "when": "2024-11-12T10:11:12.123+01:00",
    }
    kind = r.randrange(24)
    version = r.choice(("/api/v1", "/api", "/v2", "/rest", "/api/v3", ""))
    path = f"{version}/{thing}s"
    match kind:
        case 0 | 1:
            made = Request(
                "GET", f"{path}/{r.choice([str(number), words.uuid(r), words.hexadecimal(r, 24)])}"
            )
        case 2:
            made = Request(
                "GET",
                f"{path}?filter={words.encoded(r, 'name eq ' + chr(39) + words.word(r) + chr(39) + ' and price gt 10 or (size lt 5)')}&$orderby=name%20desc&$top=20&$skip=40&$expand=Items($select=Id)&$count=true",
            )
        case 3:
            made = Request(
                "GET",
                f"{path}?q={words.encoded(r, 'name==' + chr(34) + '*' + words.word(r) + '*' + chr(34) + ';age=gt=3,(x!=1)')}&fields=id,name&limit=50&offset=100",
            )
        case 4:
            made = Request(
                "GET",
                f"{path}?where={quote(json.dumps({'name': {'$regex': '^' + thing, '$options': 'i'}, 'n': {'$gt': 3, '$ne': None}}))}&order=-createdAt&keys=a,b",
            )
        case 5:
            made = Request(
                "GET",
                f"/rest/v1/{thing}?select=id,name,owner:users(name)&or=(age.lt.18,age.gt.60)&name=ilike.*{words.word(r)}*&order=id.desc",
            )
        case 6 | 7:
            made = Request(
                "POST",
                path,
                body=json_body(item, r),
                content_type=r.choice(
                    (
                        "application/json",
                        "application/json; charset=utf-8",
                        "application/vnd.api+json",
                        "application/ld+json",
                    )
                ),
            )
        case 8:
            made = Request(
                "PUT",
                f"{path}/{number}",
                headers=[("If-Match", f'"{words.hexadecimal(r, 8)}"')],
                body=json_body(item, r),
                content_type="application/json",
            )
        case 9:
            made = Request(
                "PATCH",
                f"{path}/{number}",
                body=json_body(
                    [
                        {"op": "replace", "path": "/a~1b/0", "value": words.query(r, language)},
                        {"op": "remove", "path": "/x"},
                    ],
                    r,
                ),
                content_type="application/json-patch+json",
            )
        case 10:
            made = Request(
                "DELETE",
                f"{path}/{number}{r.choice(['', '?force=true', '?reason=' + words.encoded(r, words.query(r))])}",
            )
        case 11:
            made = Request(
                "POST",
                "/graphql",
                body=json_body(
                    {
                        "query": "mutation ($i: ItemInput!) { add(item: $i) { id errors { field message } } }",
                        "variables": {"i": item},
                    },
                    r,
                ),
                content_type="application/json",
            )
        case 12:
            text = (
                "{ __schema { types { name fields { name } } } }"
                if r.random() < 0.3
                else '{ items(filter: {name: {contains: "'
                + thing
                + '"}}, first: 10) { edges { node { id name } } pageInfo { hasNextPage } } }'
            )
            made = Request(
                "GET",
                f"/graphql?query={quote_plus(text)}&variables=%7B%7D&extensions={quote(json.dumps({'persistedQuery': {'version': 1, 'sha256Hash': words.hexadecimal(r, 64)}}))}",
            )
        case 13:
            made = Request(
                "POST",
                "/jsonrpc",
                body=json_body(
                    {
                        "jsonrpc": "2.0",
                        "method": "call",
                        "params": {
                            "service": "object",
                            "method": "execute",
                            "args": [
                                "db",
                                2,
                                words.password(r),
                                "res.partner",
                                "search_read",
                                [
                                    ["name", "ilike", words.name(r)],
                                    ["id", ">", 3],
                                    "|",
                                    ["a", "=", "b"],
                                    ["c", "=", False],
                                ],
                            ],
                        },
                        "id": number,
                    },
                    r,
                ),
                content_type="application/json",
            )
        case 14:
            xml = f'<?xml version="1.0"?><methodCall><methodName>metaWeblog.newPost</methodName><params><param><value><string>{words.word(r)}</string></value></param><param><value><struct><member><name>description</name><value><![CDATA[<p>{words.text(r, 1, language)}</p>]]></value></member></struct></value></param></params></methodCall>'
            made = Request("POST", "/xmlrpc.php", body=xml.encode(), content_type="text/xml")
        case 15:
            xml = f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Header><wsse:Security><wsse:Password>{words.identifier(r, 12)}</wsse:Password></wsse:Security></soap:Header><soap:Body><GetPrice xmlns="http://example.org/prices"><Item>{thing} &amp; {words.word(r)}</Item></GetPrice></soap:Body></soap:Envelope>'
            made = Request(
                "POST",
                r.choice(("/services/PriceService", "/ws/Service.asmx", "/EWS/Exchange.asmx")),
                headers=[("SOAPAction", '"http://example.org/prices/GetPrice"')],
                body=xml.encode(),
                content_type="text/xml; charset=utf-8",
            )
        case 16:
            made = Request(
                "POST",
                "/example.v1.Items/Get",
                headers=[("X-Grpc-Web", "1"), ("TE", "trailers")],
                body=b"\0\0\0\0" + bytes([20]) + r.randbytes(20),
                content_type=r.choice(("application/grpc-web+proto", "application/grpc-web-text")),
            )
        case 17:
            made = Request(
                "PUT",
                f"/{words.word(r)}-bucket/{quote(words.foreign(r, language))}/{words.slug(r)}.bin?partNumber=3&uploadId={words.identifier(r, 60)}",
                headers=[
                    ("x-amz-content-sha256", words.hexadecimal(r, 64)),
                    ("x-amz-date", "20241112T101112Z"),
                    (
                        "Authorization",
                        f"AWS4-HMAC-SHA256 Credential=AKIA{words.hexadecimal(r, 16).upper()}/20241112/eu-central-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature={words.hexadecimal(r, 64)}",
                    ),
                ],
                body=r.randbytes(r.randrange(1, 30_000)),
                content_type="application/octet-stream",
            )
        case 18:
            made = Request(
                "GET",
                f"/bucket/{words.slug(r)}?list-type=2&prefix={words.word(r)}%2F&delimiter=%2F&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA{words.hexadecimal(r, 16).upper()}%2F20241112%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20241112T101112Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={words.hexadecimal(r, 64)}",
            )
        case 19:
            made = Request(
                "GET",
                f"/geoserver/wms?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS=a:{thing},b&STYLES=&CRS=EPSG:3857&BBOX=-20037508.34,-20037508.34,20037508.34,20037508.34&WIDTH=256&HEIGHT=256&FORMAT=image/png&CQL_FILTER={words.encoded(r, 'name LIKE ' + chr(39) + '%' + thing + '%' + chr(39) + ' AND pop > 1000')}",
            )
        case 20:
            made = Request(
                "POST",
                "/v1/traces",
                body=r.randbytes(r.randrange(20, 2000)),
                content_type="application/x-protobuf",
            )
        case 21:
            line = "\n".join(
                f'cpu,host={words.word(r)},region=eu\\ west usage={r.random() * 100:.3f},msg="{words.word(r)}" {words.digits(r, 19)}'
                for _ in range(r.randint(1, 20))
            )
            made = Request(
                "POST",
                "/write?db=telegraf&precision=ns",
                body=line.encode(),
                content_type="text/plain; charset=utf-8",
            )
        case 22:
            made = Request(
                "POST",
                "/v1/chat/completions",
                body=json_body(
                    {
                        "model": "m",
                        "stream": True,
                        "temperature": 0.7,
                        "messages": [
                            {"role": "system", "content": "You are helpful."},
                            {"role": "user", "content": words.text(r, 8, language)},
                        ],
                    },
                    r,
                ),
                content_type="application/json",
            )
        case _:
            pairs = [
                ("grant_type", "client_credentials"),
                ("scope", "a b"),
                ("to", "+15551234567"),
                ("body", words.text(r, 1, language)),
                ("amount", "1,234.50"),
                ("metadata[order_id]", str(number)),
                ("expand[]", "customer"),
            ]
            made = Request(
                "POST",
                r.choice(("/v1/charges", "/2010-04-01/Accounts/AC1/Messages.json", "/oauth/token")),
                body=words.form(r, pairs).encode(),
                content_type=people.FORM,
            )
    if r.random() < 0.03:
        made.target = "http://api.example.org" + made.target
        made.host = "api.example.org"
    return program(r, made)


def webhook(r: Random, language: str) -> bytes:
    kind = r.randrange(7)
    signature = words.hexadecimal(r, 64)
    if kind == 0:
        commits = [
            {
                "id": words.hexadecimal(r, 40),
                "message": r.choice(words.QUERIES) + "\n\n" + words.text(r, 1),
                "author": {"name": words.name(r)},
                "added": ["src/../a.php", "etc/passwd.sample"],
                "modified": [".env.example", "bin/run.sh"],
            }
            for _ in range(r.randint(1, 8))
        ]
        made = Request(
            "POST",
            "/github-webhook/",
            headers=[
                ("X-GitHub-Event", "push"),
                ("X-GitHub-Delivery", words.uuid(r)),
                ("X-Hub-Signature-256", "sha256=" + signature),
            ],
            body=json_body(
                {
                    "ref": "refs/heads/" + words.slug(r),
                    "commits": commits,
                    "repository": {"full_name": "a/b", "html_url": "https://github.com/a/b"},
                },
                r,
            ),
            content_type="application/json",
        )
        return program(r, made, "GitHub-Hookshot/" + words.hexadecimal(r, 7))
    if kind == 1:
        made = Request(
            "POST",
            "/stripe/webhook",
            headers=[("Stripe-Signature", f"t={words.digits(r, 10)},v1={signature}")],
            body=json_body(
                {
                    "id": "evt_1",
                    "object": "event",
                    "type": "charge.succeeded",
                    "data": {
                        "object": {
                            "amount": 1200,
                            "description": words.query(r, language),
                            "billing_details": {"name": words.name(r)},
                        }
                    },
                },
                r,
            ),
            content_type="application/json; charset=utf-8",
        )
        return program(r, made, "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
    if kind == 2:
        pairs = [
            ("token", words.identifier(r, 24)),
            ("team_domain", "example"),
            ("command", "/deploy"),
            ("text", r.choice(words.QUERIES)),
            ("response_url", "https://hooks.slack.com/commands/T1/2/3"),
            ("trigger_id", "1.2.3"),
        ]
        made = Request(
            "POST",
            "/slack/commands",
            headers=[("X-Slack-Signature", "v0=" + signature)],
            body=words.form(r, pairs).encode(),
            content_type=people.FORM,
        )
        return program(r, made, "Slackbot 1.0 (+https://api.slack.com/robots)")
    if kind == 3:
        pairs = [
            ("mc_gross", "19.95"),
            ("protection_eligibility", "Eligible"),
            ("address_street", words.name(r)),
            ("payment_date", "20:12:59 Nov 12, 2024 PST"),
            ("charset", "windows-1252"),
            ("item_name", words.query(r, language)),
            ("verify_sign", words.identifier(r, 56)),
            ("txn_id", words.identifier(r, 17).upper()),
        ]
        made = Request("POST", "/ipn.php", body=words.form(r, pairs).encode(), content_type=people.FORM)
        return program(r, made, "PayPal IPN ( https://www.paypal.com/ipn )")
    if kind == 4:
        mail = f"Received: by mx (Postfix, from userid 33)\r\n\tid 4711; Tue, 12 Nov 2024\r\nSubject: =?UTF-8?B?{blob(r, 20)}?=\r\n\r\n{words.text(r, 6, language)}"
        body, content_type = multipart(
            r,
            [
                ("sender", "", "", b"a@example.org"),
                ("subject", "", "", words.query(r, language).encode()),
                ("body-mime", "", "", mail.encode()),
                ("stripped-text", "", "", words.text(r, 3, language).encode()),
                ("attachment-1", "a.pdf", "application/pdf", b"%PDF-1.4\n" + r.randbytes(400)),
            ],
        )
        return program(
            r, Request("POST", "/inbound-mail", body=body, content_type=content_type), "mailgun/treq-0.2.1"
        )
    if kind == 5:
        made = Request(
            "POST",
            f"/telegram/{r.randrange(10**9)}:{words.identifier(r, 35)}",
            body=json_body(
                {
                    "update_id": 1,
                    "message": {
                        "from": {"first_name": words.name(r), "language_code": language[:2]},
                        "text": "/start " + words.text(r, 1, language),
                        "entities": [{"offset": 0, "length": 6, "type": "bot_command"}],
                    },
                },
                r,
            ),
            content_type="application/json",
        )
        return program(r, made, "")
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": words.name(r), "instance": "web1:9100"},
            "annotations": {"description": "disk / is > 90% on {{ $labels.instance }}; run `df -h`"},
            "generatorURL": "http://prom:9090/graph?g0.expr=up%7Bjob%3D%22a%22%7D+%3D%3D+0&g0.tab=1",
        }
    ]
    return program(
        r,
        Request(
            "POST",
            "/alerts",
            body=json_body({"version": "4", "alerts": alerts}, r),
            content_type="application/json",
        ),
        "Alertmanager/0.26.0",
    )


def packages(r: Random, language: str) -> bytes:
    """Package managers and updaters against a mirror."""
    target, agent = r.choice(
        (
            ("/debian/dists/bookworm/InRelease", "Debian APT-HTTP/1.3 (2.6.1)"),
            (f"/debian/pool/main/libs/libssl/{words.word(r)}_1.2.3-4+deb12u1~bpo1_amd64.deb", "Debian APT-HTTP/1.3 (2.6.1) non-interactive"),
            ("/ubuntu/dists/jammy/main/binary-amd64/by-hash/SHA256/" + words.hexadecimal(r, 64), "Debian APT-HTTP/1.3 (2.4.11)"),
            (f"/simple/{words.word(r)}/", 'pip/23.3.1 {"ci":null,"cpu":"x86_64","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},"name":"Debian GNU/Linux"},"implementation":{"name":"CPython","version":"3.11.2"},"openssl_version":"OpenSSL 3.0.11"}'),
            (f"/@{words.word(r)}%2f{words.word(r)}", "npm/10.2.3 node/v20.10.0 linux x64 workspaces/false"),
            (f"/{words.word(r)}/-/{words.word(r)}-1.2.3.tgz", "pnpm/8.10.5 npm/? node/v20.10.0 linux x64"),
            ("/maven2/org/apache/logging/log4j/log4j-core/2.23.1/log4j-core-2.23.1.jar", "Apache-Maven/3.9.5 (Java 17.0.9; Linux 6.1.0)"),
            ("/maven2/org/apache/struts/struts2-core/6.3.0.2/struts2-core-6.3.0.2.pom.sha1", "Gradle/8.5 (Linux;6.1;amd64) (Eclipse Adoptium;17.0.9)"),
            (f"/v2/library/{words.word(r)}/manifests/sha256:{words.hexadecimal(r, 64)}", "docker/24.0.7 go/go1.20.10 git-commit/311b9ff kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/24.0.7 \\(linux\\))"),
            (f"/github.com/!burnt!sushi/{words.word(r)}/@v/v1.2.3.zip", "Go-http-client/1.1"),
            (f"/{words.word(r)[:2]}/{words.word(r)[:2]}/{words.word(r)}", "cargo 1.75.0 (1d8b05cdd 2023-11-20)"),
            (f"/gems/{words.word(r)}-1.2.3.gem", "Bundler/2.4.22 RubyGems/3.4.20 x86_64-linux Ruby/3.2.2p53"),
            (f"/p2/{words.word(r)}/{words.word(r)}~dev.json", "Composer/2.6.5 (; PHP 8.2.12; cURL 8.4.0; Platform-PHP 8.1)"),
            ("/centos/9-stream/BaseOS/x86_64/os/repodata/repomd.xml", "libdnf (CentOS Stream 9; generic; Linux.x86_64)"),
            ("/msdownload/update/v3/static/trustedr/en/disallowedcertstl.cab?" + words.hexadecimal(r, 16), "Microsoft-CryptoAPI/10.0"),
            (f"/ocsp/{quote(blob(r, 60), safe='')}", "ocspd/1.0.3"),
            (f"/MFEwTzBNMEswSTAJBgUrDgMCGgUABBT{blob(r, 60)}", "com.apple.trustd/3.0"),
            ("/winget/cache/source2.msix", "Microsoft-Delivery-Optimization/10.1"),
            (f"/chocolatey/api/v2/FindPackagesById()?id='{words.word(r)}'&semVerLevel=2.0.0", "NuGet Command Line/6.8.0 (Microsoft Windows NT 10.0.19045.0)"),
            (f"/helm/index.yaml?x={words.word(r)}", "Helm/3.13.2"),
            (f"/update/check?os=linux&arch=arm64&cur=1.2.3&uuid={words.uuid(r)}", "ExampleThing/1.2 (ESP32; lwIP/2.1.2)"),
        )
    )  # fmt: skip
    made = Request("GET", target)
    if "docker" in agent:
        made.headers.append(("Accept", "application/vnd.docker.distribution.manifest.v2+json"))
    if r.random() < 0.2:
        made.headers.append(("Range", f"bytes={r.randrange(10**6)}-"))
    return program(r, made, agent)


def health(r: Random, language: str) -> bytes:
    target, agent = r.choice(
        (
            ("/", "ELB-HealthChecker/2.0"), ("/healthz", "kube-probe/1.28"), ("/ready?verbose", "kube-probe/1.28"), ("/health", "Consul Health Check"),
            ("/up", "UptimeRobot/2.0; http://www.uptimerobot.com/"), ("/ping", "Go-http-client/1.1"), ("/_health/", "GoogleHC/1.0"), ("/", "Amazon-Route53-Health-Check-Service (ref 1a2b; report http://amzn.to/1vsZADi)"),
            ("/", "check_http/v2.3.3 (monitoring-plugins 2.3.3)"), ("/metrics", "Prometheus/2.48.0"), ("/lb-status.txt", ""), ("/api/health?deep=1", "Datadog Agent/7.49.0"), ("/haproxy?stats;csv", "Zabbix"), ("/monitor/status.json", "BlackboxExporter/0.24.0"),
        )
    )  # fmt: skip
    kind = r.random()
    if kind < 0.15:
        return r.choice(
            (
                b"OPTIONS / HTTP/1.0\r\n\r\n",
                b"HEAD / HTTP/1.0\r\n\r\n",
                b"GET / HTTP/1.0\r\nUser-Agent: check_http/v2.3.3 (monitoring-plugins 2.3.3)\r\nConnection: close\r\n\r\n",
                b"GET /health HTTP/1.0\r\nHost: 192.0.2.10\r\n\r\n",
                b"OPTIONS * HTTP/1.1\r\nHost: www\r\n\r\n",
            )
        )
    return program(r, Request(r.choice(("GET", "GET", "HEAD")), target), agent)


def calendar(r: Random, language: str) -> bytes:
    """CalDAV, CardDAV and sync clients of phones and desktops."""
    agent = r.choice(
        (
            "iOS/17.4.1 (21E236) dataaccessd/1.0",
            "macOS/14.3.1 (23D60) AddressBookCore/2604.100.83",
            "DAVx5/4.3.12-ose (2024/02/21; dav4jvm; okhttp/4.12.0) Android/14",
            "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.8.0",
            "Mozilla/5.0 (Windows) mirall/3.12.1stable-Win64 (build 20240221) (Nextcloud, windows-10.0.19045 ClientArchitecture: x86_64 OsArchitecture: x86_64)",
            "Microsoft-WebDAV-MiniRedir/10.0.19045",
            "gvfs/1.50.3",
            "WebDAVFS/3.0.0 (03008000) Darwin/23.3.0 (arm64)",
            "Nextcloud-iOS/5.0.1",
            "davfs2/1.6.1 neon/0.32.2",
            "rclone/v1.65.0",
        )
    )
    user = r.choice(("ann", "jim.o%27neil", "m%C3%BCller", "a%40example.org"))
    body = b'<?xml version="1.0" encoding="UTF-8"?><A:propfind xmlns:A="DAV:"><A:prop><A:current-user-principal/><A:principal-URL/><A:resourcetype/><C:addressbook-home-set xmlns:C="urn:ietf:params:xml:ns:carddav"/></A:prop></A:propfind>'
    made = r.choice(
        (
            Request("PROPFIND", r.choice(("/.well-known/caldav", "/.well-known/carddav", f"/remote.php/dav/principals/users/{user}/", f"/remote.php/dav/files/{user}/{quote(words.foreign(r, language))}", "/")), headers=[("Depth", r.choice(("0", "1"))), ("Brief", "t"), ("Prefer", "return=minimal")], body=body, content_type="text/xml; charset=utf-8"),
            Request("REPORT", f"/remote.php/dav/addressbooks/users/{user}/contacts/", headers=[("Depth", "1")], body=b'<?xml version="1.0"?><d:sync-collection xmlns:d="DAV:"><d:sync-token>http://sabre.io/ns/sync/4711</d:sync-token><d:sync-level>1</d:sync-level><d:prop><d:getetag/></d:prop></d:sync-collection>', content_type="application/xml; charset=utf-8"),
            Request("PUT", f"/remote.php/dav/addressbooks/users/{user}/contacts/{words.uuid(r)}.vcf", body=f"BEGIN:VCARD\r\nVERSION:3.0\r\nN:{words.name(r)};;;;\r\nFN:{words.name(r)}\r\nNOTE:{words.query(r, language)}\r\nPHOTO;ENCODING=b;TYPE=JPEG:{blob(r, 300)}\r\nEND:VCARD\r\n".encode(), content_type="text/vcard; charset=utf-8"),
            Request("OPTIONS", f"/remote.php/dav/files/{user}/", headers=[("translate", "f")]),
            Request("LOCK", f"/dav/{words.slug(r)}.docx", headers=[("Timeout", "Second-3600"), ("If", f"(<opaquelocktoken:{words.uuid(r)}>)")], body=b'<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>HOST\\jim</D:href></D:owner></D:lockinfo>', content_type='text/xml; charset="utf-8"'),
            Request("GET", f"/remote.php/dav/files/{user}/{quote(words.name(r), safe='')}.jpg", headers=[("Range", "bytes=0-65535")]),
            Request("POST", "/index.php/login/v2/poll", body=f"token={words.identifier(r, 128)}".encode(), content_type=people.FORM),
        )
    )  # fmt: skip
    return program(r, made, agent)
