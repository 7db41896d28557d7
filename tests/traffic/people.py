# SPDX-License-Identifier: Apache-2.0
"""What visitors of sites send: pages, their parts, searches, forms, uploads, sign-ins, and what is measured of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from random import Random
from urllib.parse import quote, quote_plus

import words
from clients import Request, blob, json_body, jwt, multipart

Maker = Callable[[Random, str], Request]
"""Makes a request of somebody with a language."""

FORM = "application/x-www-form-urlencoded"
FORM_UTF8 = "application/x-www-form-urlencoded; charset=UTF-8"
JSON = "application/json"
AJAX = [("X-Requested-With", "XMLHttpRequest")]

# Ordinary pages whose names look dangerous to somebody who reads too little of them.
SUSPICIOUS_PAGES = """
/articles/what-is-sql-injection
/blog/union-select-explained
/blog/log4j-jndi-lookup-explained.html
/docs/etc/passwd-file-format
/man/5/passwd
/manpage.php?name=passwd&section=5
/manual/en/function.eval.php
/manual/en/function.base64-decode.php
/manual/en/function.exec.php
/manual/en/wrappers.php.php
/wiki/Union_(SQL)
/wiki/Select_(SQL)?action=history
/wiki/Cmd.exe
/wiki//dev/null
/wiki/Path_traversal
/wiki/..._And_Justice_for_All
/wiki/Who%27s_Afraid_of_Virginia_Woolf%3F
/wiki/AC/DC
/wiki/C%2B%2B
/wiki/%22Heroes%22_(album)
/wiki/Fran%C3%A7ois_d%27Assise
/news/union-select-committee-meets
/software/root.exe-removal-guide
/tags/c%23
/tag/%3Cscript%3E-tag
/tag/rock%27n%27roll
/shop/bench-mark-pens
/store/sleep(ing)-bags
/static/js/../css/site.css
/a/./b/c.html
/docs/../index.html
//index.html
/forum/viewtopic.php?f=5&t=4711&sid=0c1d2e3f#p99
/forum/viewtopic.php?p=99&hilit=union+select#p99
/index.php?id=7&page=about
/index.php?page=../index
/index.php?file=report.pdf
/page.php?url=https%3A%2F%2Fwww.example.org%2Fa.html
/redirect?to=//www.example.net/path
/proxy?url=http://images.example.net/a.jpg
/download.php?file=2024/report%20(final)%20v1.2.pdf
/cgi-bin/search.cgi?q=lamp
/cgi-bin/awstats.pl?config=www.example.org&framename=mainright
/cgi-bin/mailman/listinfo/users
/cgi-bin/man.cgi?section=all&topic=ls
/show_bug.cgi?id=1234&ctype=xml
/test.php
/phpinfo-explained.html
/admin/
/login?next=/admin/users/%3Fq%3Dann
/backup-and-restore-guide.html
/config/guide.pdf
/shell-scripts/index.html
/images/shell.png
/passwd
/id
/etc
/bin/
/tmp/
/.well-known/security.txt
/.well-known/apple-app-site-association
/.well-known/openid-configuration
/.well-known/acme-challenge/kRk_0pS9-4LLkq1hV0gq
/~jim/public_html/a.html
/a%20b%2Bc.html
/100%25-cotton
/50%-off
/%E2%9C%93
/caf%E9/menu.html
/price-list.asp?cat=1&sort=price+desc
/default.aspx?ID=123&Lang=en
/view.jsp;jsessionid=0A1B2C3D4E5F?article=12
/servlet/Show?doc=12
/product.cfm?product_id=12
/items?filter[price][gte]=10&filter[name]=it%27s
/items?ids=1,2,3&fields=id,name,count(items)&order=-name
/list?sort=name);&dir=asc
/compare?a=1&b=1&a=2
/search?q=
/search?q=%
/search?
/?
/?p=123
/?s=union+select
/?123456789
/?=x
/?a&b&c
/index.html?{}
/q?x=1;y=2
""".strip().splitlines()

EXTENSIONS = ("", "", "", "/", ".html", ".php", ".aspx", ".htm", ".jsp")


def page(r: Random, language: str) -> Request:
    kind = r.random()
    if kind < 0.12:
        return Request("GET", r.choice(SUSPICIOUS_PAGES).partition("#")[0])
    if kind < 0.5:
        folders = "/".join(words.slug(r) for _ in range(r.randint(1, 4)))
        if r.random() < 0.15:
            folders = quote(words.foreign(r, language).replace(" ", r.choice("-_ ")), safe="-_.!~*'()/,:;@")
        if r.random() < 0.15:
            folders = f"{r.randint(2004, 2025)}/{r.randint(1, 12):02}/{r.randint(1, 28):02}/{folders}"
        target = f"/{folders}{r.choice(EXTENSIONS)}"
    else:
        target = r.choice(
            (
                f"/index.php?id={r.randrange(9999)}&L={r.randrange(4)}&cHash={words.hexadecimal(r, 32)}",
                f"/index.php?option=com_content&view=article&id={r.randrange(999)}:{words.slug(r)}&catid={r.randrange(40)}&Itemid={r.randrange(300)}",
                f"/p/{words.slug(r)}-{r.randrange(10**6)}",
                f"/category/{words.slug(r)}?page={r.randrange(40)}&sort={r.choice(['price', '-price', 'name,asc', 'price_desc'])}",
                f"/c/{words.slug(r)}?color={words.encoded(r, words.word(r) + '|' + words.word(r))}&price={r.randrange(50)}-{r.randrange(50, 900)}&size=M%2CL",
                f"/catalogsearch/result/index/?cat={r.randrange(90)}&product_list_order=price&price={r.randrange(99)}-",
                f"/node/{r.randrange(9999)}",
                f"/?p={r.randrange(9999)}&preview=true&preview_nonce={words.hexadecimal(r, 10)}",
                f"/forum/showthread.php?t={r.randrange(99999)}&page={r.randrange(30)}",
                f"/threads/{words.slug(r)}.{r.randrange(99999)}/page-{r.randrange(30)}#post-1".partition("#")[
                    0
                ],
                f"/wiki/index.php?title={words.encoded(r, words.name(r))}&action=edit&section={r.randrange(9)}",
                f"/w/index.php?title=Special:Search&search={words.encoded(r, words.query(r, language))}&fulltext=1&ns0=1",
                f"/item/{words.digits(r, 13)}?utm_source=newsletter&utm_medium=e-mail&utm_campaign={words.encoded(r, words.words(r, 2, 5))}&utm_term=&mc_cid={words.hexadecimal(r, 10)}&mc_eid={words.hexadecimal(r, 10)}",
                f"/landing?gclid={words.identifier(r, 90)}&gbraid={words.identifier(r, 30)}&utm_content={words.encoded(r, '{creative}|' + words.word(r))}",
                f"/?fbclid=IwAR{words.identifier(r, 56)}",
                f"/?msclkid={words.hexadecimal(r, 32)}&ref={words.encoded(r, 'https://www.example.net/?a=b&c=d')}",
                f"/share?url={words.encoded(r, 'https://www.example.org/' + words.slug(r) + '?x=1&y=2')}&text={words.encoded(r, words.text(r, 1, language))}",
                f"/print.asp?id={r.randrange(999)}&back=%2Fnews%2Easp%3Fcat%3D{r.randrange(9)}",
                f"/maps?ll=52.{words.digits(r, 5)},13.{words.digits(r, 5)}&z=12&q={words.encoded(r, words.name(r))}",
                f"/calendar?from=2024-{r.randint(1, 12):02}-01T00:00:00%2B02:00&to=2025-01-01&tz=Europe/Berlin",
                f"/view/{base64.urlsafe_b64encode(r.randbytes(r.randint(8, 60))).decode()}",
                f"/r/{blob(r, 24)}",
                f"/dl/{words.slug(r)}.exe",
                f"/unsubscribe?t={quote(blob(r, 90), safe='')}&e={quote_plus('jim.o' + chr(39) + 'neil+news@example.org')}",
                f"/verify?token={jwt(r)}",
                f"/reset?key={words.hexadecimal(r, 64)}&email={quote(words.word(r) + '@example.org')}",
            )
        )
    if r.random() < 0.02:
        return Request("GET", target, version="HTTP/1.0")
    return Request(r.choices(["GET", "HEAD"], [97, 3])[0], target)


def asset(r: Random, language: str) -> Request:
    h = words.hexadecimal(r, 8)
    kind, target = r.choice(
        (
            ("style", f"/assets/{words.word(r)}-{h}.css"),
            ("script", f"/static/js/main.{h}.chunk.js"),
            ("script", f"/_next/static/chunks/pages/%5Bcategory%5D/%5B...slug%5D-{h}{h}.js"),
            ("script", f"/wp-includes/js/jquery/jquery.min.js?ver=3.{r.randrange(9)}.1"),
            (
                "script",
                f"/wp-admin/load-scripts.php?c=1&load%5Bchunk_0%5D=jquery-core,jquery-migrate,utils,{words.word(r)}&ver=6.4.{r.randrange(9)}",
            ),
            ("style", f"/wp-content/plugins/{words.slug(r)}/style.css?ver={r.randrange(9)}.{r.randrange(9)}"),
            (
                "style",
                f"/sites/default/files/css/css_{words.identifier(r, 43)}.css?delta=0&language=en&theme=olivero&include={words.identifier(r, 120)}",
            ),
            ("style", f"/combine.php?type=css&files=reset.css,grid.css,../theme/{words.word(r)}.css"),
            ("script", f"/min/?b=js&f=jquery.js,{words.word(r)}.js&{words.digits(r, 10)}"),
            ("script", f"/bundles/{words.word(r)}?v={words.identifier(r, 43)}1"),
            (
                "script",
                f"/pub/static/version{words.digits(r, 10)}/frontend/Magento/luma/de_DE/requirejs/require.js",
            ),
            ("image", f"/_next/image?url=%2Fimg%2F{words.word(r)}.jpg&w={r.choice([640, 1080])}&q=75"),
            ("image", f"/media/catalog/product/cache/{words.hexadecimal(r, 32)}/a/b/{words.slug(r)}.jpg"),
            (
                "image",
                f"/image.php?src=/uploads/{words.word(r)}.png&w={r.randrange(900)}&h={r.randrange(900)}&zc=1",
            ),
            (
                "image",
                f"/thumb?url={words.encoded(r, 'https://cdn.example.net/i/' + words.word(r) + '.jpg?x=1&y=2')}&s={words.hexadecimal(r, 40)}",
            ),
            ("image", f"/tiles/{r.randrange(19)}/{r.randrange(9999)}/{r.randrange(9999)}@2x.png"),
            ("image", f"/img/{words.encoded(r, words.foreign(r, language))}.jpg"),
            ("image", f"/img/{quote(words.name(r), safe='')} (1).jpg".replace(" ", "%20")),
            ("image", "/favicon.ico"),
            ("image", "/apple-touch-icon-precomposed.png"),
            ("image", f"/i.gif?r={r.random()}"),
            ("font", f"/fonts/{words.word(r)}.woff2?{h}#iefix".partition("#")[0]),
            ("media", f"/video/{words.slug(r)}/720p/segment{r.randrange(999)}.ts"),
            (
                "media",
                f"/live/stream.m3u8?token=exp={words.digits(r, 10)}~acl=/*~hmac={words.hexadecimal(r, 64)}",
            ),
            ("media", f"/audio/{quote(words.name(r), safe='')}.mp3"),
            ("xhr", f"/locales/{language}/translation.json?v={h}"),
            (
                "xhr",
                f"/api/suggest?term={words.encoded(r, words.query(r, language)[:5])}&_={words.digits(r, 13)}",
            ),
        )
    )
    made = Request("GET", target, kind)
    if kind == "media" and r.random() < 0.7:
        start = r.randrange(10**7)
        made.headers.append(
            (
                "Range",
                r.choice(
                    (
                        f"bytes={start}-",
                        f"bytes={start}-{start + 65535}",
                        "bytes=0-1",
                        "bytes=-512",
                        "bytes=0-99,200-299",
                    )
                ),
            )
        )
        if r.random() < 0.5:
            made.headers.append(("If-Range", f'"{h}"'))
    return made


def search(r: Random, language: str) -> Request:
    text = words.query(r, language)
    q = words.encoded(r, text)
    target = r.choice(
        (
            f"/search?q={q}",
            f"/search?q={q}&page={r.randrange(9)}&sort=relevance",
            f"/?s={q}",
            f"/suche.html?tx_kesearch_pi1%5Bsword%5D={q}&id={r.randrange(99)}",
            f"/catalogsearch/result/?q={q}",
            f"/s/ref=nb_sb_noss?url=search-alias%3Daps&field-keywords={q}",
            f"/find?query={q}&type=all&f%5B0%5D=type%3A{words.word(r)}",
            f"/search/{words.encoded(r, text.replace('/', ' '))}",
            f"/results.php?search_query={q}&filters=%7B%22brand%22%3A%5B%22{words.word(r)}%22%5D%7D",
            f"/opac/search?idx=kw&q={q}&idx=au&q={words.encoded(r, words.name(r))}&op=and&weight_search=1",
            f"/autocomplete.ashx?prefix={q}&limit=10&timestamp={words.digits(r, 13)}",
            f"/search?as_q={q}&as_epq={words.encoded(r, words.words(r, 1, 3))}&as_oq=&as_eq=",
            f"/forum/search.php?keywords={q}&terms=all&author=&sc=1&sf=all&sr=posts&sk=t&sd=d&st=0&ch=300&t=0&submit=Search",
            f"/dictionary/{q}",
            f"/translate?sl=auto&tl={language[:2]}&text={words.encoded(r, words.text(r, 1, language))}",
        )
    )
    if r.random() < 0.1:
        return Request(
            "POST",
            "/search",
            "form",
            body=words.form(r, [("q", text), ("submit", "Go!")]).encode(),
            content_type=FORM,
        )
    return Request("GET", target, "xhr" if "suggest" in target or "ashx" in target else "page")


def form(r: Random, language: str) -> Request:
    text = words.text(r, 4, language)
    mail = (
        f"{words.word(r)}.{r.choice(['o' + chr(39) + 'hara', 'smith', 'müller'])}+{words.word(r)}@example.org"
    )
    kind = r.random()
    hidden = r.choice(
        (
            [("csrf_token", words.identifier(r, 64))],
            [
                ("__VIEWSTATE", blob(r, r.randint(50, 2500))),
                ("__VIEWSTATEGENERATOR", words.hexadecimal(r, 8).upper()),
                ("__EVENTVALIDATION", blob(r, 200)),
            ],
            [("_token", words.identifier(r, 40)), ("_method", "PUT")],
            [("utf8", "✓"), ("authenticity_token", blob(r, 64) + "==")],
            [
                ("form_build_id", "form-" + words.identifier(r, 43)),
                ("form_id", "contact_message_feedback_form"),
                ("op", "Send message"),
            ],
            [],
        )
    )
    if kind < 0.25:
        pairs = [
            ("username", r.choice((mail, words.name(r), words.word(r)))),
            ("password", words.password(r)),
            ("remember", "on"),
            ("redirect_to", "/account?tab=orders"),
        ]
        target = r.choice(
            (
                "/login",
                "/user/login?destination=node/12",
                "/wp-login.php",
                "/accounts/login/?next=/a/b",
                "/customer/account/loginPost/",
                "/Account/Login?ReturnUrl=%2FHome",
            )
        )
    elif kind < 0.5:
        pairs = [
            ("name", words.name(r)),
            ("email", mail),
            ("subject", words.query(r, language)),
            ("message", text),
            ("consent", "1"),
        ]
        target = r.choice(
            (
                "/contact",
                "/contact.php",
                "/index.php?option=com_contact&task=contact.submit",
                "/wp-comments-post.php",
                "/feedback.cgi",
            )
        )
    elif kind < 0.7:
        pairs = [
            ("comment", text),
            ("author", words.name(r)),
            ("email", mail),
            ("url", "https://example.org/~x?y=z"),
            ("comment_post_ID", str(r.randrange(999))),
            ("comment_parent", "0"),
        ]
        target = r.choice(
            (
                "/wp-comments-post.php",
                f"/posts/{r.randrange(999)}/comments",
                "/forum/posting.php?mode=reply&f=2&t=71",
                "/guestbook/sign.asp",
            )
        )
    elif kind < 0.85:
        pairs = [
            ("firstname", words.name(r)),
            ("lastname", words.name(r)),
            (
                "street[0]",
                f"{words.word(r).title()} St. {r.randrange(99)}/{r.randrange(9)}, c/o {words.name(r)}",
            ),
            ("city", words.foreign(r, language)),
            ("postcode", words.digits(r, 5)),
            ("telephone", f"+49 (0){words.digits(r, 3)}/{words.digits(r, 6)}-{words.digits(r, 2)}"),
            ("note", text),
            ("agree[]", "1"),
            ("agree[]", "2"),
        ]
        target = "/checkout/address"
    else:
        pairs = [
            ("title", words.query(r, language)),
            ("content", text + "\r\n" + words.text(r, 6, language)),
            ("lang", r.choice(("php", "sql", "bash", "python", "text"))),
            ("expire", "1D"),
            ("tags", "a, b; c"),
        ]
        target = r.choice(("/paste", "/snippets", "/questions/ask/submit", "/post/create"))
    pairs = hidden + pairs if r.random() < 0.5 else pairs + hidden
    if r.random() < 0.2:
        body, content_type = multipart(r, [(key, "", "", value.encode()) for key, value in pairs])
        return Request("POST", target, "form", body=body, content_type=content_type)
    if r.random() < 0.15:
        return Request("POST", target, "xhr", [*AJAX], json_body(dict(pairs), r), JSON)
    ajax = r.random() < 0.2
    return Request(
        "POST",
        target,
        "xhr" if ajax else "form",
        [*AJAX] if ajax else [],
        words.form(r, pairs).encode(),
        FORM_UTF8 if ajax else FORM,
    )


FILES = (
    ("jpg", "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00H\x00H\x00\x00"),
    ("png", "image/png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    ("gif", "image/gif", b"GIF89a\x01\x00\x01\x00\x80\x00\x00"),
    (
        "pdf",
        "application/pdf",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog/Pages 2 0 R/OpenAction[3 0 R/Fit]>>\nendobj\n",
    ),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00[Content_Types].xml ",
    ),
    ("zip", "application/zip", b"PK\x03\x04\x14\x00\x00\x00\x08\x00src/../README.md"),
    ("mp4", "video/mp4", b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"),
    (
        "exe",
        "application/x-msdownload",
        b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00This program cannot be run in DOS mode.\r\r\n$",
    ),
    ("tar.gz", "application/gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
)


def upload(r: Random, language: str) -> Request:
    base = r.choice(
        (
            words.slug(r),
            words.foreign(r, language),
            words.name(r).replace('"', "%22"),
            f"IMG_{words.digits(r, 4)}",
            f"C:\\Users\\jim\\Documents\\{words.word(r)}",
            "Rechnung Nr. 12 (Kopie)",
        )
    )
    if r.random() < 0.7:
        extension, kind, magic = r.choice(FILES)
        content = magic + r.randbytes(int(min(60_000, r.expovariate(1 / 2500))))
    else:
        extension, kind = r.choice(
            (
                ("csv", "text/csv"),
                ("txt", "text/plain"),
                ("html", "text/html"),
                ("svg", "image/svg+xml"),
                ("xml", "text/xml"),
                ("json", "application/json"),
                ("py", "text/x-python"),
                ("php", "application/octet-stream"),
                ("sql", "application/sql"),
                ("sh", "application/x-sh"),
                ("md", "text/markdown"),
                ("ics", "text/calendar"),
                ("eml", "message/rfc822"),
            )
        )
        content = _document(r, extension, language)
    name = f"{base}.{extension}"
    if r.random() < 0.12:
        target = r.choice(
            (
                f"/upload?name={quote(name)}",
                f"/files/{quote(name)}",
                f"/api/blobs/{words.uuid(r)}?part={r.randrange(9)}",
            )
        )
        return Request(
            r.choice(("PUT", "POST")),
            target,
            "xhr",
            [("Content-Range", f"bytes 0-{len(content) - 1}/{len(content)}")] if r.random() < 0.4 else [],
            content,
            kind,
        )
    parts = [
        ("csrf", "", "", words.identifier(r, 32).encode()),
        ("title", "", "", words.query(r, language).encode()),
        ("file", name, kind, content),
    ]
    if r.random() < 0.2:
        parts.append(("file", "", "application/octet-stream", b""))
    if r.random() < 0.2:
        parts.insert(
            0, ("meta", "", "application/json", json.dumps({"name": name, "size": len(content)}).encode())
        )
    body, content_type = multipart(r, parts)
    target = r.choice(
        (
            "/upload",
            "/wp-admin/async-upload.php",
            "/upload.php",
            "/api/files",
            "/profile/avatar",
            "/sell/photos",
            "/fileadmin/upload?dir=%2Fimages%2F2024",
            "/mail/?_task=mail&_action=upload&_id=1",
        )
    )
    return Request("POST", target, r.choice(("xhr", "form")), body=body, content_type=content_type)


def _document(r: Random, extension: str, language: str) -> bytes:
    lines = [words.text(r, 2, language) for _ in range(r.randint(1, 12))]
    match extension:
        case "csv":
            lines = [
                f'{i};"{words.name(r).replace(chr(34), chr(34) * 2)}";{r.random():.2f};{words.word(r)}@example.org;=SUM(A1:A{i})'
                for i in range(r.randint(2, 60))
            ]
        case "html":
            lines = [
                '<!DOCTYPE html><html><head><title>x</title><script src="/a.js"></script><script>window.a = {b: \'c\'}; console.log(document.title);</script></head><body onload="init()">',
                *lines,
                "</body></html>",
            ]
        case "svg":
            lines = [
                '<?xml version="1.0" standalone="no"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><path d="M0 0L10 10z"/></svg>'
            ]
        case "xml":
            lines = [
                '<?xml version="1.0" encoding="UTF-8"?>',
                '<!DOCTYPE note [<!ENTITY copy "(c)"><!ELEMENT note (#PCDATA)>]>',
                "<note>&copy; 2024 &lt;b&gt;</note>",
            ]
        case "php":
            lines = [
                "<?php",
                "require_once __DIR__ . '/../vendor/autoload.php';",
                "$id = (int) ($_GET['id'] ?? 0);",
                '$rows = $db->query("SELECT * FROM items WHERE id = $id")->fetchAll();',
                "echo base64_encode(json_encode($rows));",
                "if ($argc > 1) { system('ls ' . escapeshellarg($argv[1])); }",
            ]
        case "sql":
            lines = [
                "-- dump",
                "DROP TABLE IF EXISTS `users`;",
                "CREATE TABLE `users` (`id` int(11) NOT NULL AUTO_INCREMENT, PRIMARY KEY (`id`)) ENGINE=InnoDB;",
                "INSERT INTO `users` VALUES (1,'O\\'Neil','x'),(2,'a','b');",
                "SELECT id FROM a UNION SELECT id FROM b;",
                "/*!40101 SET NAMES utf8 */;",
            ]
        case "sh":
            lines = [
                "#!/bin/sh -e",
                'cd "$(dirname "$0")" && . ./env.sh',
                "curl -fsSL https://example.org/pkg.tar.gz | tar xz -C /tmp",
                "rm -rf build/ && mkdir -p build; cp -r src/* build/",
                "cat /etc/os-release | grep '^ID='",
                'exec /bin/bash -c "$@"',
            ]
        case "py":
            lines = [
                "#!/usr/bin/env python3",
                "import os, subprocess",
                "subprocess.run(['ls', '-la'], check=True)",
                "print(os.environ.get('HOME'), eval('1 + 1'))",
                *lines,
            ]
    return "\n".join(lines).encode()
