# SPDX-License-Identifier: Apache-2.0
"""What the lab's web servers serve and how: a small shop, its decoy, and nginx's configuration.

The decoy has the same pages under the same names; what an intruder would want to take differs.
"""

from __future__ import annotations

import functools
import html
import json
import os
import random
from pathlib import Path

from securedirect.lab.plan import PORT, Host

DOWNLOAD_BYTES = 20_000_000
_STAMP = 1_700_000_000
"""Modification time of every file, so that ETag and Last-Modified do not tell the hosts apart."""

_GOODS = (
    ("trowel", "Ash-handled trowel", "18.50", "Forged in one piece, for roots and clay."),
    ("can", "Watering can, 8 litres", "39.00", "Zinc, with a brass rose that can be taken apart."),
    ("secateurs", "Bypass secateurs", "44.90", "For twigs up to 20 mm; every part can be replaced."),
    ("gloves", "Goatskin gloves", "22.00", "Soft, washable, in five sizes."),
    ("twine", "Jute twine, 250 m", "6.80", "Untreated; rots with what it held."),
    ("frame", "Cold frame", "129.00", "Larch and glass, arrives flat."),
)
_REAL_ORDERS = (
    ("20417", "M. Okafor", "Cold frame", "129.00"),
    ("20418", "J. Lindqvist", "Bypass secateurs", "44.90"),
    ("20419", "R. Baptiste", "Jute twine, 250 m", "6.80"),
)
_DECOY_ORDERS = (
    ("31882", "T. Example", "Watering can, 8 litres", "39.00"),
    ("31883", "A. Sample", "Goatskin gloves", "22.00"),
    ("31884", "K. Specimen", "Ash-handled trowel", "18.50"),
)
_MENU = (
    ("/", "Home"),
    ("/products.html", "Products"),
    ("/search.html", "Search"),
    ("/cart.html", "Cart"),
    ("/login.html", "Sign in"),
    ("/contact.html", "Contact"),
)
_STYLE = """body{font:16px/1.5 Georgia,serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#223}
nav a{margin-right:1rem}h1{color:#2c5530}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;text-align:left}
"""


def _page(title: str, body: str) -> str:
    menu = "".join(f'<a href="{target}">{text}</a>' for target, text in _MENU)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)} - Bramble &amp; Birch</title>"
        '<link rel="stylesheet" href="/style.css"></head>\n'
        f"<body><nav>{menu}</nav>\n<h1>{html.escape(title)}</h1>\n{body}\n"
        "<footer><p>Bramble &amp; Birch, garden tools since 1987</p></footer></body></html>\n"
    )


def _table(head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    def line(tag: str, cells: tuple[str, ...]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line("th", head) + "".join(line("td", row) for row in rows) + "</table>"


def _form(action: str, method: str, fields: tuple[tuple[str, str], ...], button: str) -> str:
    inputs = "".join(f'<p><label>{text} <input name="{name}"></label></p>' for name, text in fields)
    return f'<form action="{action}" method="{method}">{inputs}<p><button>{button}</button></p></form>'


def pages(decoy: bool) -> dict[str, str]:
    """Path below the document root → content."""
    orders = _DECOY_ORDERS if decoy else _REAL_ORDERS
    found = {
        "index.html": _page(
            "Bramble & Birch",
            "<p>Tools that outlive their first owner. Sent from our barn within two days.</p>",
        ),
        "products.html": _page(
            "Products",
            "<ul>"
            + "".join(
                f'<li><a href="/products/{key}.html">{name}</a>, {price} &euro;</li>'
                for key, name, price, _ in _GOODS
            )
            + "</ul>",
        ),
        "search.html": _page(
            "Search", _form("/search.html", "get", (("q", "What are you looking for?"),), "Search")
        ),
        "cart.html": _page("Your cart", "<p>There is nothing in it yet.</p>"),
        "login.html": _page(
            "Sign in", _form("/login.html", "post", (("user", "E-mail"), ("password", "Password")), "Sign in")
        ),
        "contact.html": _page(
            "Contact", _form("/contact.html", "post", (("mail", "E-mail"), ("text", "Message")), "Send")
        ),
        "admin/orders.html": _page("Orders", _table(("Number", "Customer", "Goods", "Euro"), orders)),
        "404.html": _page("Not found", "<p>This page has been pruned.</p>"),
        "style.css": _STYLE,
        "robots.txt": "User-agent: *\nDisallow: /admin/\nDisallow: /cart.html\n",
        "api/products.json": json.dumps(
            [{"id": key, "name": name, "price": price} for key, name, price, _ in _GOODS]
        )
        + "\n",
        "api/orders.json": json.dumps(
            [dict(zip(("id", "customer", "goods", "price"), order, strict=True)) for order in orders]
        )
        + "\n",
    }
    for key, name, price, text in _GOODS:
        found[f"products/{key}.html"] = _page(name, f"<p>{html.escape(text)}</p><p>{price} &euro;</p>")
    return found


@functools.cache
def download() -> bytes:
    """The content of download.bin: 20 MB that do not compress and are the same in every lab."""
    return random.Random("securedirect").randbytes(DOWNLOAD_BYTES)


def write_site(root: Path, *, decoy: bool, download_file: Path) -> None:
    """Fill a document root. ``download_file`` is linked, or made first when it is not there."""
    if not download_file.exists():
        download_file.write_bytes(download())
        os.utime(download_file, (_STAMP, _STAMP))
    for path, content in pages(decoy).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        os.utime(target, (_STAMP, _STAMP))
    (root / "download.bin").hardlink_to(download_file)


def nginx_configuration(host: Host, folder: Path, *, access_log: bool) -> str:
    """nginx.conf of one host: everything below ``folder``, nothing of the machine's own nginx."""
    logging = f"{folder}/access.log combined" if access_log else "off"
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/tmp/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""# Written by `securedirect lab up` for {host.name}.
daemon off;
user www-data;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 16384; }}
http {{
    types {{
        text/html html;
        text/css css;
        text/plain txt;
        application/json json;
        application/octet-stream bin;
    }}
    default_type text/plain;
{temporary}
    access_log {logging};
    # The servers are to cost little beside what is measured: a page leaves in one segment with its header
    # (two with sendfile, in twice the time on a virtual machine) and is not opened anew for each request.
    sendfile off;
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 1s;
    server_tokens off;
    # A connection is to live as long as its client likes: tests and wrk keep theirs for minutes.
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    client_header_timeout 600s;
    client_body_timeout 600s;
    client_max_body_size 0;
    large_client_header_buffers 8 64k;
    server {{
        listen {PORT} backlog=4096;
        root {folder}/www;
        index index.html;
        add_header X-Served-By {host.name} always;
        # The pages are files; a form that is posted to one is read to its end, as an application would, and
        # answered with the file.
        error_page 405 = @form;
        error_page 404 /404.html;
        location @form {{
            client_body_buffer_size 1m;
            proxy_pass http://unix:{folder}/form.sock;
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header Host $host;
            proxy_max_temp_file_size 0;
        }}
    }}
    server {{
        listen unix:{folder}/form.sock;
        access_log off;
        root {folder}/www;
        index index.html;
        error_page 404 /404.html;
    }}
}}
"""
