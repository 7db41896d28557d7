# SPDX-License-Identifier: Apache-2.0
"""What browsers send by themselves or on the way: sign-ins elsewhere, measurements, live connections."""

from __future__ import annotations

import base64
import json
import zlib
from random import Random
from urllib.parse import quote, quote_plus

import words
from clients import Request, blob, json_body, jwt
from people import FORM


def sign_in(r: Random, language: str) -> Request:
    """OAuth, OpenID Connect, SAML, CAS."""
    state = r.choice(
        (
            blob(r, 48),
            base64.b64encode(
                json.dumps({"return": "/a?b=c", "n": words.hexadecimal(r, 16)}).encode()
            ).decode(),
            words.uuid(r),
            jwt(r),
        )
    )
    back = quote(f"https://app.example.io/callback?next={quote('/orders?x=1&y=2', safe='')}", safe="")
    saml = f'<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_{words.hexadecimal(r, 32)}" Version="2.0" IssueInstant="2024-11-12T10:11:12Z" Destination="https://idp.example/sso"><saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">https://app.example.io/metadata</saml:Issuer></samlp:AuthnRequest>'
    deflated = zlib.compress(saml.encode(), 9)[2:-4]
    response = (
        f'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_{words.hexadecimal(r, 32)}"><saml:Assertion><ds:SignatureValue>{blob(r, 256)}</ds:SignatureValue><saml:Attribute Name="name"><saml:AttributeValue>{words.name(r).replace("<", "&lt;")}</saml:AttributeValue></saml:Attribute></saml:Assertion></samlp:Response>'
        * r.randint(1, 4)
    )
    kind = r.randrange(10)
    if kind == 0:
        return Request(
            "GET",
            f"/oauth2/authorize?response_type=code&client_id={words.identifier(r, 20)}&redirect_uri={back}&scope=openid%20profile%20email&state={quote(state, safe='')}&code_challenge={words.identifier(r, 43)}&code_challenge_method=S256",
        )
    if kind == 1:
        return Request(
            "GET",
            f"/callback?code=4/0A{words.identifier(r, 70)}&state={quote(state, safe='')}&scope=email+https://www.googleapis.com/auth/userinfo.email+openid&authuser=0&prompt=none&session_state={words.uuid(r)}",
        )
    if kind == 2:
        return Request(
            "POST",
            "/oauth2/token",
            "xhr",
            body=words.form(
                r,
                [
                    ("grant_type", "authorization_code"),
                    ("code", words.identifier(r, 60)),
                    ("redirect_uri", "https://app.example.io/callback"),
                    ("client_secret", words.password(r)),
                    ("code_verifier", words.identifier(r, 64)),
                ],
            ).encode(),
            content_type=FORM,
        )
    if kind == 3:
        return Request(
            "GET",
            f"/simplesaml/saml2/idp/SSOService.php?SAMLRequest={quote_plus(base64.b64encode(deflated))}&RelayState={back}&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256&Signature={quote_plus(blob(r, 256))}",
        )
    if kind == 4:
        return Request(
            "POST",
            "/saml/acs",
            "form",
            body=words.form(
                r,
                [
                    ("SAMLResponse", base64.b64encode(response.encode()).decode()),
                    ("RelayState", "https://app.example.io/?a=b"),
                ],
            ).encode(),
            content_type=FORM,
        )
    if kind == 5:
        return Request(
            "GET",
            f"/cas/login?service=https%3A%2F%2Fmoodle.example.org%2Flogin%2Findex.php%3FauthCAS%3DCAS&ticket=ST-{r.randrange(9999)}-{words.identifier(r, 40)}",
        )
    if kind == 6:
        return Request(
            "GET",
            f"/accounts/login?continue=https%253A%252F%252Fwww.example.org%252Fa%253Fb%253D{quote(quote(words.query(r), safe=''), safe='')}&hl={language}",
        )
    if kind == 7:
        return Request(
            "POST",
            "/signin-oidc",
            "form",
            body=words.form(
                r,
                [
                    ("code", words.identifier(r, 300)),
                    ("id_token", jwt(r)),
                    ("state", state),
                    ("session_state", words.uuid(r)),
                ],
            ).encode(),
            content_type=FORM,
        )
    if kind == 8:
        return Request(
            "GET",
            f"/adfs/ls/?wa=wsignin1.0&wtrealm=urn%3afederation%3aMicrosoftOnline&wctx=LoginOptions%3D3%26estsredirect%3d2%26estsrequest%3d{words.identifier(r, 300)}&cbcxt=&username={quote_plus('ann@example.org')}",
        )
    return Request(
        "GET",
        f"/auth/realms/{words.word(r)}/protocol/openid-connect/logout?id_token_hint={jwt(r)}&post_logout_redirect_uri={back}",
    )


def measure(r: Random, language: str) -> Request:
    """Pixels, beacons, reports of browsers."""
    url = quote(f"https://www.example.org/{words.slug(r)}?q={quote(words.query(r, language))}", safe="")
    title = quote(words.name(r) + " – " + words.query(r, language), safe="-_.!~*'()")
    kind = r.randrange(10)
    if kind == 0:
        return Request(
            "GET",
            f"/collect?v=1&_v=j101&a={words.digits(r, 9)}&t=pageview&_s=1&dl={url}&ul={language.lower()}&de=UTF-8&dt={title}&sd=24-bit&sr=1920x1080&vp=1905x{r.randrange(999)}&je=0&_u=AACAAEABAAAAACAAI~&jid=&gjid=&cid={words.digits(r, 9)}.{words.digits(r, 10)}&tid=UA-{words.digits(r, 7)}-1&z={words.digits(r, 9)}",
            "image",
        )
    if kind == 1:
        return Request(
            "POST",
            f"/g/collect?v=2&tid=G-{words.identifier(r, 10).upper()}&gtm=45je4b{words.digits(r, 4)}v87&_p={words.digits(r, 13)}&gcd=13l3l3l3l1l1&dma=0&tag_exp=101533422~101823848&dl={url}&dt={title}&en=scroll&epn.percent_scrolled=90&_et=2",
            "xhr",
        )
    if kind == 2:
        return Request(
            "GET",
            f"/matomo.php?action_name={title}&idsite=1&rec=1&r={words.digits(r, 6)}&h=10&m=11&s=12&url={url}&urlref=https%3A%2F%2Fwww.google.com%2F&_id={words.hexadecimal(r, 16)}&_idn=0&send_image=0&_refts=0&_cvar=%7B%221%22%3A%5B%22k%22%2C%22v%22%5D%7D&pv_id={words.identifier(r, 6)}&uadata=%7B%22platform%22%3A%22Linux%22%7D",
            "image",
        )
    if kind == 3:
        return Request(
            "GET",
            f"/tr/?id={words.digits(r, 15)}&ev=PageView&dl={url}&rl=&if=false&ts={words.digits(r, 13)}&cd[content_name]={title}&sw=1920&v=2.9.176&r=stable&ec=0&o=4126&fbp=fb.1.{words.digits(r, 13)}.{words.digits(r, 9)}&it=1&coo=false&rqm=GET",
            "image",
        )
    if kind == 4:
        report = {
            "csp-report": {
                "document-uri": "https://www.example.org/a",
                "violated-directive": "script-src-elem",
                "original-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' https:; report-uri /csp",
                "blocked-uri": "inline",
                "script-sample": "alert(1); document.write('<b>x</b>')"[: r.randrange(40)],
            }
        }
        return Request(
            "POST", "/csp-report", "xhr", body=json_body(report, r), content_type="application/csp-report"
        )
    if kind == 5:
        event = {
            "message": f"TypeError: undefined is not an object (evaluating 'a.{words.word(r)}')",
            "stacktrace": {
                "frames": [
                    {
                        "filename": "https://www.example.org/static/js/main.js",
                        "function": "<anonymous>",
                        "lineno": r.randrange(99),
                        "in_app": True,
                    }
                ]
            },
            "request": {
                "url": "https://www.example.org/?q=" + words.query(r),
                "headers": {"User-Agent": "Mozilla/5.0"},
            },
            "breadcrumbs": [{"category": "console", "message": words.text(r, 1)}],
        }
        lines = [
            json.dumps({"event_id": words.hexadecimal(r, 32), "dsn": "https://abc@o1.ingest.example.io/2"}),
            json.dumps({"type": "event"}),
            json.dumps(event),
        ]
        return Request(
            "POST",
            f"/api/{words.digits(r, 6)}/envelope/?sentry_key={words.hexadecimal(r, 32)}&sentry_version=7&sentry_client=sentry.javascript.browser%2F7.100.1",
            "xhr",
            body="\n".join(lines).encode(),
            content_type="text/plain;charset=UTF-8",
        )
    if kind == 6:
        beacon = [
            {
                "type": "click",
                "target": f"html>body>div#a.b:nth-child({r.randrange(9)})>a[href='/x']",
                "text": words.text(r, 1),
                "t": r.random(),
                "p": [r.randrange(1920), r.randrange(1080)],
            }
            for _ in range(r.randint(1, 20))
        ]
        return Request(
            "POST",
            "/beacon",
            "xhr",
            body=json_body({"v": 1, "events": beacon}, r),
            content_type="text/plain;charset=UTF-8",
        )
    if kind == 7:
        return Request(
            "GET",
            f"/b/ss/examplecom/1/JS-2.22.0-LDQM/s{words.digits(r, 14)}?AQB=1&ndh=1&pf=1&t=12%2F10%2F2024%2010%3A11%3A12%202%20-60&mid={words.digits(r, 38)}&ce=UTF-8&pageName={title}&g={url}&c1={words.word(r)}%7C{words.word(r)}&v12=D%3Dc1&AQE=1",
            "image",
        )
    if kind == 8:
        return Request(
            "POST",
            "/rum",
            "xhr",
            body=f"v=1&rt.start=navigation&u={url}&nt_nav_st={words.digits(r, 13)}&restiming=%7B%22https%3A%2F%2Fwww.example.org%2F%22%3A%7B%22%7C%22%3A%226%2C{words.identifier(r, 20)}%22%7D%7D&err=%5B%5D".encode(),
            content_type=FORM,
        )
    reports = [
        {
            "type": "network-error",
            "age": r.randrange(999),
            "url": "https://www.example.org/",
            "user_agent": "Mozilla/5.0",
            "body": {"phase": "dns", "type": "dns.name_not_resolved", "status_code": 0},
        }
    ]
    return Request(
        "POST", "/reports", "xhr", body=json_body(reports, r), content_type="application/reports+json"
    )


def live(r: Random, language: str) -> Request:
    """WebSocket upgrades, long polling, server-sent events, CORS."""
    kind = r.randrange(5)
    if kind == 0:
        return Request(
            "GET",
            r.choice(
                (
                    f"/ws?token={jwt(r)}",
                    f"/socket.io/?EIO=4&transport=websocket&sid={words.identifier(r, 20)}",
                    f"/cable?x={words.word(r)}",
                    f"/signalr/connect?transport=webSockets&clientProtocol=2.1&connectionToken={quote(blob(r, 60), safe='')}&connectionData=%5B%7B%22name%22%3A%22chat%22%7D%5D&tid={r.randrange(10)}",
                )
            ),
            "xhr",
            [
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", blob(r, 16)),
                ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
            ],
        )
    if kind == 1:
        return Request(
            "GET",
            f"/socket.io/?EIO=4&transport=polling&t={words.identifier(r, 7)}&sid={words.identifier(r, 20)}",
            "xhr",
        )
    if kind == 2:
        frame = f'42["message",{json.dumps({"room": words.word(r), "text": words.text(r, 1, language)})}]'
        return Request(
            "POST",
            f"/socket.io/?EIO=4&transport=polling&t={words.identifier(r, 7)}&sid={words.identifier(r, 20)}",
            "xhr",
            body=frame.encode(),
            content_type="text/plain;charset=UTF-8",
        )
    if kind == 3:
        return Request(
            "GET",
            f"/events?lastEventId={r.randrange(9999)}&topics=a,b",
            "xhr",
            [("Accept", "text/event-stream"), ("Cache-Control", "no-cache")],
        )
    return Request(
        "OPTIONS",
        f"/api/v2/{words.word(r)}/{r.randrange(999)}",
        "xhr",
        [
            ("Access-Control-Request-Method", r.choice(("PUT", "POST", "DELETE"))),
            ("Access-Control-Request-Headers", "authorization,content-type,x-requested-with"),
        ],
    )
