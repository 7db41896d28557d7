# SPDX-License-Identifier: Apache-2.0
"""Writes python/securedirect/rules/ordinary.tsv: how likely each character is behind two others in ordinary
requests.

    .venv/bin/python tools/ordinary_table.py python/securedirect/rules/ordinary.tsv

No request of anybody is in it: addresses, searches, forms, JSON and headers are put together here from
English prose and identifiers of Python's own standard library (PSF licence) and from the lists below; source
text from the library's own and from the lines of ``ordinary_code.txt``. The same seed and Python version give
the same table. ``securedirect.rules.specificity`` reads it.
"""

from __future__ import annotations

import base64
import io
import math
import random
import re
import sys
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from pydoc_data import topics  # type: ignore[import-untyped]

from securedirect.rules.specificity import ALPHABET, GRADES, WORD, fold

SIZE = 3_000_000
"""Characters of each kind of text."""
ROWS = 900
"""Pairs of characters that have a row of their own; others are judged by the last one alone."""
SMOOTHING = 12
LEAST = 20
"""Times that a word of source text must have been seen."""

SITE = """home about contact products product category categories search login logout account user users
admin api
v1 v2 static assets images image img css js fonts media uploads upload download downloads files file docs
documents help support faq news blog posts post article articles archive tag tags author page pages events
event calendar gallery video videos photos shop store cart checkout order orders payment invoice shipping
returns reviews wishlist catalog collection brands sale offers deals membership profile settings preferences
notifications messages inbox forum topic topics thread viewtopic comments feed rss sitemap robots favicon
index default main start welcome terms privacy legal imprint cookies press jobs careers team company
services solutions partners customers investors research resources library reports data dashboard stats
analytics export import json xml html print share sharer redirect oauth auth token callback session register
signup password reset verify confirm subscribe unsubscribe newsletter mail email map maps locations
store-locator weather sports politics business health science technology travel food style music movies tv
books games kids family education school university courses lessons students content wp-content themes
plugins modules components node sites all views templates includes lib vendor dist build public app apps
mobile desktop en us uk de fr es it intl world local latest popular trending recommended related list view
show detail details edit new create update delete remove add copy move history revision diff status health
metrics version config select option filter sort bin cgi-bin scripts shell manager console server service
form query result results test demo sample samples""".split()
PARAMETERS = """q query s search keyword id page p n limit offset start end size sort order dir by lang
locale hl gl cat
category type tag ref source src utm_source utm_medium utm_campaign utm_content fbclid gclid session sid
token key api_key client_id redirect redirect_uri return next url u link target continue state scope
response_type action act do cmd mode view format callback v ver version t ts time date from to year month
day lat lon name title email user username password msg text content body comment subject file path img
image width height w h color filter fields include expand embed account item product sku qty price currency
country city zip csrf_token _ nonce hash f m c k x y z""".split()
EXTENSIONS = """html html html htm php php php php asp aspx aspx jsp jsp do js js css css png png jpg jpg
gif svg ico json
xml txt pdf woff woff2 webp mp4 cgi pl action""".split()
HOSTS = "www shop blog api cdn static media mail m en accounts login news forum docs".split()
ENDS = "com com com org net io de co.uk fr test example edu gov info".split()
VERBS = """view show list get set add new create insert update edit save delete remove select submit cancel
confirm
search find filter sort login logout register order buy print preview download upload import export copy
move rename enable disable activate start stop run execute exec open close read write send reply share
follow like union join drop alter grant table from where group having limit values into all count version
user sleep wait benchmark""".split()
"""What applications call their actions, and what people search for: words of SQL and of shells are words."""
FIXED = """Content-Disposition: form-data; name="file"; filename="image.png"
Content-Type: application/octet-stream
Content-Transfer-Encoding: binary
Transfer-Encoding: chunked
Expect: 100-continue
Content-Type: multipart/form-data; boundary=----WebKitFormBoundary
Content-Type: multipart/related; boundary=
Content-Type: text/xml; charset=utf-8
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">""".splitlines()
COMMANDS = """awk bash cat chgrp chmod chown cp crontab curl cut date dd df diff dig dmesg du echo env expr
false file find free ftp gcc git grep groups gunzip gzip head host hostname id ifconfig ip iptables kill
killall less ln ls lsof make man mkdir mknod more mount mv nc netstat nice nmap nohup passwd perl php ping
ps pwd python python3 rm rmdir rsync ruby scp sed service sh sleep sort ssh stat stty su sudo sync systemctl
tail tar tcpdump tee telnet test top touch tr traceroute true umount uname uniq uptime useradd vi vim w wc
wget which who whoami xargs zip zsh""".split()
CODE = (Path(__file__).with_name("ordinary_code.txt")).read_text().splitlines()
HEADERS = (Path(__file__).parents[1] / "crates/sd-rules/src/ordinary.txt").read_text().splitlines()


class Text:
    """Makes ordinary text."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        prose = " ".join(topics.topics.values())
        self.sentences = [
            " ".join(s.split()) for s in re.split(r"(?<=[.:])\s+", prose) if s.count(" ") > 3 and "*" not in s
        ]
        self.words = re.findall(r"[a-z]{2,14}", prose.lower())
        names = Counter[str]()
        self.source: list[str] = []
        for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
            source = path.read_text("utf-8", errors="replace")
            self.source += source.splitlines(keepends=True)
            self.words += re.findall(
                r"\b[a-z]{3,14}\b", " ".join(re.findall(r'"""(.*?)"""', source, re.S)).lower()
            )
            try:
                for token in tokenize.generate_tokens(io.StringIO(source).readline):
                    if token.type == tokenize.NAME and 2 < len(token.string) < 25:
                        names[token.string] += 1
            except (tokenize.TokenError, IndentationError, SyntaxError):
                continue
        self.languages: dict[str, list[str]] = {}
        for line in CODE:
            if heading := re.fullmatch(r"\[(\w+)\]", line):
                language = self.languages.setdefault(heading[1], [])
            elif self.languages:
                language.append(line)
        self.names = [name for name, count in names.items() for _ in range(1 + int(math.log2(count)))]

    def pick(self, things: list[str]) -> str:
        return self.random.choice(things)

    def kind(self, **weights: int) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def token(self) -> str:
        raw = self.random.randbytes(self.random.choice((4, 8, 12, 16, 16, 24, 32)))
        if self.random.random() < 0.2:  # unset fields are zeroes
            raw = raw[:4] + bytes(len(raw) - 4) + raw[:2]
        return raw.hex() if self.random.random() < 0.5 else base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def number(self) -> str:
        return str(int(10 ** self.random.uniform(0, 10)))

    def phrase(self) -> str:
        sentence = self.pick(self.sentences).split()
        at = self.random.randrange(len(sentence))
        words = sentence[at : at + self.random.randint(1, 6)]
        return " ".join(words)

    def slug(self) -> str:
        return self.pick(["-", "-", "-", "_"]).join(
            self.pick(self.words) for _ in range(self.random.randint(2, 7))
        )

    def host(self) -> str:
        return f"{self.pick(HOSTS)}.{self.pick(self.words)}.{self.pick(ENDS)}"

    def segment(self) -> str:
        match self.kind(site=8, word=4, slug=4, number=2, date=1, token=1, name=2, phrase=1):
            case "site":
                return self.pick(SITE)
            case "word":
                return self.pick(self.words)
            case "slug":
                return self.slug()
            case "number":
                return self.number()
            case "date":
                return f"20{self.random.randint(10, 26)}/{self.random.randint(1, 12):02}"
            case "token":
                return self.token()
            case "name":
                return self.pick(self.names)
        return self.phrase().replace(" ", "_")

    def path(self) -> str:
        parts = "".join("/" + self.segment() for _ in range(self.random.choice((0, 1, 1, 2, 2, 3, 3, 4, 5))))
        if not parts:
            return "/"
        return parts + (self.pick(["/", ""]) if self.random.random() < 0.5 else "." + self.pick(EXTENSIONS))

    def url(self) -> str:
        return f"{self.pick(['https', 'https', 'http'])}://{self.host()}{self.path()}"

    def value(self) -> str:
        match self.kind(
            number=5,
            word=5,
            verb=3,
            phrase=6,
            search=2,
            token=4,
            url=2,
            path=1,
            date=1,
            mail=1,
            flag=2,
            name=3,
            list=1,
        ):
            case "number":
                return self.number()
            case "word":
                return self.pick(self.words)
            case "verb":
                return self.pick(VERBS)
            case "phrase":
                return self.phrase()
            case "search":
                return " ".join(
                    self.pick([*VERBS, *self.words[:4000:10]]) for _ in range(self.random.randint(2, 5))
                )
            case "token":
                return self.token()
            case "url":
                nested = self.url()
                return nested + ("?" + self.query() if self.random.random() < 0.3 else "")
            case "path":
                return self.path()
            case "date":
                year, month = self.random.randint(10, 26), self.random.randint(1, 12)
                return f"20{year}-{month:02}-{self.random.randint(1, 28):02}"
            case "mail":
                return f"{self.pick(self.words)}@{self.pick(self.words)}.{self.pick(ENDS)}"
            case "flag":
                return self.pick(["true", "false", "on", "off", "yes", "no", "1", "0", "", "en-US", "utf-8"])
            case "name":
                return self.pick(self.names)
        return ",".join(self.pick(self.words) for _ in range(3))

    def parameter(self) -> str:
        return self.pick(PARAMETERS) if self.random.random() < 0.75 else self.pick(self.names)

    def query(self) -> str:
        return "&".join(
            f"{self.parameter()}={self.value()}" for _ in range(self.random.choice((1, 1, 2, 2, 3, 4, 6)))
        )

    def uri(self) -> str:
        return self.path() + ("?" + self.query() if self.random.random() < 0.5 else "")

    def json(self, depth: int = 0) -> str:
        entries = []
        for _ in range(self.random.randint(1, 5)):
            if depth < 2 and self.random.random() < 0.2:
                value = self.json(depth + 1)
            elif self.random.random() < 0.1:
                value = "[" + ",".join(self.number() for _ in range(3)) + "]"
            else:
                value = self.pick([self.number(), "true", "null", *[f'"{self.value()}"'] * 5])
            entries.append(f'"{self.parameter()}":{value}')
        return "{" + ",".join(entries) + "}"

    def markup(self) -> str:
        sentence = self.pick(self.sentences)
        match self.kind(p=4, a=2, img=1, b=2, xml=2):
            case "p":
                return f'<p class="{self.pick(self.words)}">{sentence}</p>\n'
            case "a":
                return f'<a href="{self.url()}">{self.phrase()}</a> '
            case "img":
                return f'<img src="{self.path()}" alt="{self.phrase()}" />\n'
            case "b":
                return f"<strong>{self.phrase()}</strong><br>\n"
        name = self.pick(self.names)
        return f"<{name}>{self.value()}</{name}>\n"

    def multipart(self) -> str:
        border = "----WebKitFormBoundary" + self.token()[:16]
        parts = "".join(
            f'--{border}\nContent-Disposition: form-data; name="{self.parameter()}"\n\n{self.value()}\n'
            for _ in range(self.random.randint(1, 3))
        )
        file = f'{self.slug()}.{self.pick(EXTENSIONS)}"\nContent-Type: image/png\n\n'
        file += f"{self.phrase()}\n--{border}--\n"
        return parts + f'--{border}\nContent-Disposition: form-data; name="file"; filename="{file}'

    def header(self) -> str:
        match self.kind(known=12, referer=2, cookie=3, host=2, other=1):
            case "known":
                return self.pick(HEADERS) + "\n"
            case "referer":
                return f"Referer: {self.url()}\n"
            case "cookie":
                pairs = "; ".join(
                    f"{self.parameter()}={self.pick([self.token(), self.number()])}" for _ in range(4)
                )
                return f"Cookie: {pairs}\n"
            case "host":
                return f"Host: {self.host()}\n"
        return f"X-{self.pick(self.words).title()}-{self.pick(self.words).title()}: {self.value()}\n"

    def message(self) -> str:
        match self.kind(header=8, form=3, json=3, markup=2, prose=2, multipart=1):
            case "header":
                return self.header()
            case "form":
                return self.query() + "\n"
            case "json":
                return self.json() + "\n"
            case "markup":
                return self.markup()
            case "multipart":
                return self.multipart()
        return self.pick(self.sentences) + "\n"

    def code(self) -> str:
        """A few lines of one language, or of a page that explains it."""
        match self.kind(language=6, python=1, markup=2, prose=2):
            case "python":
                at = self.random.randrange(len(self.source) - 12)
                return "".join(self.source[at : at + self.random.randint(2, 12)])
            case "markup":
                return self.markup()
            case "prose":
                return self.pick(self.sentences) + "\n"
        lines = self.pick(list(self.languages.values()))
        return "".join(
            "  " * self.random.choice((0, 0, 0, 1, 2)) + self.filled(self.pick(lines)) + "\n"
            for _ in range(self.random.randint(2, 12))
        )

    def filled(self, line: str) -> str:
        """A line of ``ordinary_code.txt`` with names, words and so on in it."""
        makers = {
            "n": lambda: self.pick(self.names),
            "w": lambda: self.pick(self.words),
            "c": lambda: self.pick(COMMANDS),
            "s": self.phrase,
            "d": self.number,
            "p": self.path,
            "u": self.url,
        }
        return re.sub("~([nwcsdpu])", lambda found: makers[found[1]](), line)


def text_of(kind: str) -> str:
    text = Text(20020311)
    out: list[str] = []
    size = 0
    while size < SIZE:
        match kind:
            case "uri":
                piece = text.uri() + "\n"
            case "message":
                piece = text.message()
            case _:
                piece = text.code()
        out.append(piece)
        size += len(piece)
    return "\n" + "".join(out)


def rows(text: str) -> Iterator[tuple[str, str]]:
    """Context (no, one or two characters) and a grade for each character behind it."""
    folded = fold(text.encode("latin-1", "replace"))
    ones, twos, threes = Counter(folded), Counter[str](), Counter[str]()
    for at in range(len(folded) - 2):
        twos[folded[at : at + 2]] += 1
        threes[folded[at : at + 3]] += 1
    size = len(folded)
    # A twentieth of the smoothing is spread over everything: what was never seen is possible.
    one = {c: (ones[c] + 0.25 * size / 1000 / len(ALPHABET)) / (size * 1.00025) for c in ALPHABET}
    two = {
        a: {b: (twos[a + b] + SMOOTHING * one[b]) / (ones[a] + SMOOTHING) for b in ALPHABET} for a in ALPHABET
    }
    yield "", _grades(one)
    for a in ALPHABET:
        yield a, _grades(two[a])
    for pair, count in twos.most_common(ROWS):
        chances = {
            c: (threes[pair + c] + SMOOTHING * two[pair[1]][c]) / (count + SMOOTHING) for c in ALPHABET
        }
        yield pair, _grades(chances)


def code_words(text: str) -> Iterator[tuple[str, str]]:
    """The words that ``ordinary_code.txt`` is written in, and a grade for each: how often it begins at a
    place of source text."""
    folded = fold(text.encode("latin-1", "replace"))
    written = set(re.findall(WORD, fold("\n".join([*CODE, *COMMANDS]).encode())))
    counted = Counter(re.findall(WORD, folded))
    for word in sorted(written):
        if counted[word] >= LEAST:
            grade = round(-4 * math.log2(counted[word] / len(folded)))
            yield word, GRADES[min(len(GRADES) - 1, grade)]


def idioms(text: str) -> Iterator[tuple[str, str]]:
    """What stands in the lines of ``ordinary_code.txt`` as it is, and programs with their folders; and a
    grade for each, as for words. Characters one by one make too rare what is always written together."""
    folded = fold(text.encode("latin-1", "replace"))
    lines = CODE[CODE.index("[php]") :]
    counted = Counter[str]()
    for piece in {fold(piece.encode()) for line in lines for piece in re.split("~[nwcsdpu]", line)}:
        counted[piece] = folded.count(piece)
    for folder in {found for line in lines for found in re.findall(r"/[\w/]+/(?=~c)", line)}:
        for command in COMMANDS:  # one as likely as another: too many to be counted
            counted[folder + command] = max(LEAST, folded.count(folder) // len(COMMANDS))
    for piece, count in sorted(counted.items()):
        if len(piece) > 3 and count >= LEAST:
            grade = round(-4 * math.log2(count / len(folded)))
            yield piece, GRADES[min(len(GRADES) - 1, grade)]


def _grades(chances: dict[str, float]) -> str:
    """Quarters of a bit, one character each."""
    return "".join(GRADES[min(len(GRADES) - 1, round(-4 * math.log2(chances[c])))] for c in ALPHABET)


def main(path: Path) -> None:
    lines = ["# SPDX-License-Identifier: Apache-2.0", "# Made by tools/ordinary_table.py: see there."]
    for kind in ("uri", "message", "code"):
        text = text_of(kind)
        for context, grades in rows(text):
            lines.append(f"{kind}\t{context.encode('latin-1').hex()}\t{grades}")
        if kind == "code":
            for word, grade in code_words(text):
                lines.append(f"word\t{word.encode('latin-1').hex()}\t{grade}")
            for idiom, grade in idioms(text):
                lines.append(f"idiom\t{idiom.encode('latin-1').hex()}\t{grade}")
    for line in sorted({fold(line.encode()) for line in [*HEADERS, *FIXED] if len(line) > 3}):
        lines.append(f"phrase\t{line.encode('latin-1').hex()}\t")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
