# SPDX-License-Identifier: Apache-2.0
"""What people type: words in many languages, queries, comments, code, passwords. Own wording, chosen by a seed.

Nothing here is shaped by what the rules look for: quotes, SQL words, shell commands and markup are as common
as they are where people write about them.
"""

from __future__ import annotations

from random import Random
from urllib.parse import quote, quote_plus

ENGLISH = """
about account after again album animal apple archive article available baby back bag battery beach best better bike
bill birthday black blue board book bottle box boys brand bread breakfast bridge budget build button cable calendar
camera camping card care case chair change chart cheap check chicken child city class clean clock cloud club coat
coffee color company computer concert cook copy country course cover create customer daily dance date deal delete
design desk dinner discount doctor dog download draft dress drink drop early east easy edit email engine english
event exchange expert export family fashion fast file film filter find fish flight floor flower food football
format free fresh friend from full game garden gift girl glass gold good green group guide guitar hair hand happy
hardware having health heart help high history holiday home hotel house idea image import index insert insurance
invoice island jacket job join juice keyboard kids kitchen lamp laptop large last law leather left lesson letter
library light like limit line list local login long love machine mail manual map market master meal media meeting
member men menu message minute mirror model money month morning mountain movie music name natural near network new
news night north note offer office online open order organic original package page paint paper park party password
pasta payment people phone photo piano pizza plan plastic player point police post power press price print private
problem product profile program project public quality question quick radio rain recipe record red release rent
repair replace report reset rest return review rice right ring river road room run safe salad sale school science
screen search season second security select sell send server service set shipping shirt shoes shop short show size
skirt sleep small smart snow soap social sofa software song south space special spring square stand start station
status stock store story street student style sugar summer sun support sweet swim system table tea team test text
theme ticket time title today tools top total tour town toys track train travel tree truck union update upload used
user value van version video view village vintage visit wait walk wall war watch water weather web week west when
where white wide win window wine winter woman wood word work world write year yellow your zip zone
""".split()

# A line each; the first word is the language as in Accept-Language.
FOREIGN = """
de-DE Straße schöne Grüße für Größe Überweisung Fußball Hähnchen Käse Öffnungszeiten Büro Mäntel günstig kaufen Möbel
de-AT Jänner Erdäpfel Küche weiß Tür Wörterbuch Prüfung Ärzte Rückgabe Lösung Geschäft ändern löschen Währung
fr-FR château élève déjà crème brûlée l'été aujourd'hui œuvre ça façon réservé prêt-à-porter bientôt où être à l'école
fr-CA hiver québécois magasinage courriel fin d'année forêt télécharger sécurité société événement drôle
es-ES niño corazón años mañana información compañía teléfono ¿cuándo? dirección pequeño señal envío garantía árbol
es-MX águila película canción jabón computación México ¡oferta! colchón lámpara página búsqueda también según
pt-BR ação coração não você preço promoção informações São Paulo maçã cartão avó crédito está difícil câmera
pt-PT eletrodomésticos relógio telemóvel já até três sótão opções índice saúde número pés ténis
it-IT perché città università però più l'acqua caffè così qualità dell'arte società papà è già venerdì
nl-NL één coördinatie reünie zo'n auto's foto's financiële kniptang ijsje België efficiënt patiënt
sv-SE kött smörgås färg hålla åka blåbär sjö väder köpa tröja dörr möbler åtta läkare
da-DK æble blød gård smørrebrød rød skærm købe øre hånd måned tørklæde
nb-NO blåbær fjord ærlig høst måke kjøkken ørret brød vær gjøre
fi-FI äiti yö hyvää päivää työpöytä sähköposti käyttäjä tänään kesä lämpö mökki
pl-PL zażółć gęślą jaźń książka świąt łóżko dziękuję płatność wysyłka źródło ćwiczenia już ósmy
cs-CZ příliš žluťoučký kůň dřevo čtvrtek košík děti objednávka nový účet říjen šálek
sk-SK vôňa ľahký kôň žiadosť späť dôvod šťastie mäso vĺča
hu-HU árvíztűrő tükörfúrógép kérdés ő gyönyörű könyv szállítás üzlet keresés
ro-RO mâine țară știri înapoi câine băiat coș comandă ușă
hr-HR đak čaj šuma život ćevapi kuća mreža plaćanje
tr-TR güneş İstanbul çocuk ığdır öğrenci şeker alışveriş ücretsiz kargo yarın
el-GR καλημέρα κόσμε τιμή αγορά ψάρι θάλασσα ελλάδα παιδί σύνδεση
ru-RU привет мир купить недорого доставка книга ёлка объявление москва работа погода
uk-UA їжак ґанок привіт київ пошта замовлення новини мова
bg-BG здравей цена поръчка въпрос книга София
sr-RS љубав њива ћирилица џеп кућа
ar-SA مرحبا كتاب سعر شراء مدينة الطقس أخبار سيارة
fa-IR سلام کتاب خرید گربه پیام چرا
he-IL שלום ספר מחיר חנות ילדים בית
hi-IN नमस्ते किताब मूल्य समाचार मौसम भारत
bn-BD বাংলা বই দাম খবর শহর
ta-IN வணக்கம் புத்தகம் விலை செய்தி
th-TH สวัสดี ราคา หนังสือ ข่าว ร้านอาหาร
vi-VN xin chào giá rẻ đường phố điện thoại khuyến mãi người Việt
id-ID harga murah sepatu anak rumah dijual resep ayam goreng ta'aruf
zh-CN 你好 价格 手机 北京 天气 新闻 下载 图书 优惠 登录
zh-TW 台灣 購物 鞋子 電影 優惠 車票 圖書館
ja-JP こんにちは 価格 靴 東京 天気 ダウンロード レシピ ニュース 検索
ko-KR 안녕하세요 가격 신발 서울 날씨 뉴스 맛집 다운로드
ka-GE გამარჯობა წიგნი ფასი
am-ET ሰላም መጽሐፍ ዋጋ
""".strip().splitlines()
LANGUAGES = {line.split()[0]: line.split()[1:] for line in FOREIGN}

NAMES = """
Anna O'Brien|Müller & Söhne|Jean-Luc d'Artagnan|María José Peña|Łukasz Żak|John "Jack" Smith|Nguyễn Văn An|D'Angelo
|Sinéad O'Connor|Mc'Kenzie|Zoë|Renée (she/her)|李小龍|Αλέξανδρος|Иван Петров|O'Reilly Media, Inc.|AT&T|Toys "R" Us
|Ben & Jerry's|L'Oréal|P. & G.|Smith; Jones|K-9|50% Club|C++ Users' Group|<unknown>|Bobby Tables|Select Union Hotels
|Table Drop Ltd.|N'Golo|Ng|O|null|Null Island|Union Select Committee|root beer co|Exec Dynamics
""".replace("\n", "").split("|")

# What is typed into the search box of a shop, a library, a forum, a code host, the site of a database's makers.
QUERIES = """
o'reilly perl book
select the best union representative
what is the difference between union and union all
how to drop table in mysql
insert into table values example
"select * from" slow query
select count(*) from orders where status = 'open'
select name, age from users where age > 30 order by name
update users set name = 'bob' where id = 7
delete from cart where user_id = 12 and created < '2020-01-01'
group by having count(*) > 1
sql order by desc limit 10 offset 20
1 = 1 in where clause why
what does 1=1 mean
x or y = z
cats or dogs
rock 'n' roll
fish 'n' chips near me
don't stop believin'
it's 5 o'clock
' single quote
" double quote
5' 11" in cm
27" monitor 144hz
3/4" drill bit
2x4 lumber 8'
python if x == 'a' or x == 'b'
c++ "undefined reference to"
c# string.format("{0}")
what does ${var} mean in bash
bash $(date +%s) vs `date`
how to use && and || in shell
rm -rf node_modules
sudo apt-get install curl && curl --version
cat file | grep foo | wc -l
ls -la; pwd
wget vs curl
curl: (60) ssl certificate problem
chmod 755 meaning
/etc/hosts file location
permissions of /etc/passwd
linux /etc/fstab noatime
where is /var/log
c:\\windows\\system32 folder size
cmd.exe /c start
powershell get-childitem -recurse | select-object name
what is ../ in a path
import ../../components/button
<div> center vertically
<script> tag in head or body
html <img> alt text
difference between <b> and <strong>
&nbsp; entity
css :not(.a) > b
jquery $('#id').on('click')
javascript:void(0) meaning
alert() vs confirm()
onclick vs addeventlistener
php echo $_get example
php include vs require
eval is evil
base64 decode online
printf("%s %d")
%s %n format
100% cotton t-shirt
50% off sale!!!
a+b=c
(x+y)^2 = x^2+2xy+y^2
sin(x)/x limit
∫ e^-x² dx
√2 irrational proof
a ∪ b
e=mc2
10 < x < 20
price >= 100 and price <= 200
tom & jerry
r&d jobs
h&m
m&m's
q&a
p&l statement
[solved] error 404
{json} formatter
json {"a": [1, 2]}
regex ^[a-z]+\\.(com|net)$
regex (?:foo|bar)
*.pdf
file.txt~
~/.bashrc
#hashtag
@mention
user@example.org
site:example.org "annual report"
-exclude "exact phrase"
author:"d'angelo" year:2019
title:sql AND (union OR select)
"union" NOT "select"
status:open label:"needs review"
is:issue is:open sort:updated-desc
null
undefined
true
NaN
-1
0x1f
007
+49 (0)30 123456
(555) 123-4567
$100 - $200
€ 20
£5
#1 dad mug
50/50
and/or
his/hers
he said "hello" and left
who's who
mother's day gifts; father's day gifts
declare variable sql server
exec sp_help
stored procedure exec
sleep(5) in python
time.sleep(0.5)
mysql sleep function
waitfor movie
benchmark graphics card
benchmark(1000000)
concat strings in sql
substring(name, 1, 3)
char(10) line feed
cast(x as int)
information_schema tables list
having fun
like '%abc%'
between 5 and 10
case when then end
union square hotel
european union select committee report
table for two
drop shipping table lamps
load data infile
into outfile
script writing software
movie script pdf
password reset
admin jobs
root canal dentist
shell beach
shell petrol station
windows command prompt
log4j vulnerability explained
what is jndi
cve-2021-44228 patch
sql injection tutorial
how does xss work
owasp top ten
define: traversal
passwd command
id card template
id
uname -a output
net user command
nc state university
ping 8.8.8.8
telnet port 23
""".strip().splitlines()

SENTENCES = """
Thank you for the quick delivery; the lamp is great!
I don't think that's right, see "the manual" (page 12).
Hello,\r\nI ordered two items (no. 4711 & 4712), but only one has arrived.\r\n\r\nRegards,\r\nJim O'Neil
Can you tell me if you ship to Malmö / Göteborg? It's urgent...
The price is <100 EUR, isn't it? If it's > 100, please cancel.
We select our partners carefully, and the union of both teams was a success.
From all the tables you sell, which one would you drop from the list?
Where can I insert the coupon? The form says: invalid value 'SUMMER-20'.
My password doesn't work: I get "error; try again" | what now?
Great article. I disagree with 1/3 of it, e.g. the part about C:\\Users\\Public and /usr/local/bin.
5 stars *****  -- would buy again
LOL :-) ;-) <3 \\o/
Cost = 3 * (2 + 4) = 18; 18 / 3 = 6
Use `git rebase -i HEAD~3`, then `git push --force-with-lease`.
See https://www.example.org/a?b=c&d=e#f and http://example.com/?q=%20
**bold** _italic_ [link](https://example.org) ![image](a.png)
[b]bold[/b] [url=http://example.org]link[/url] [quote="Ann"]yes[/quote]
<p>Hello <strong>world</strong>, this is <a href="https://example.org/x?y=1&amp;z=2">a link</a>.</p>
<ul><li>one</li><li>two</li></ul><p style="color: red; text-align: center">&copy; 2024</p>
<img src="/media/a.jpg" alt="it's a cat" width="640" height="480" /><br />
<iframe width="560" height="315" src="https://video.example/embed/abc" allowfullscreen></iframe>
<table class="t"><tr><td colspan="2">1 &lt; 2</td></tr></table>
I tried: SELECT id, name FROM customers WHERE name LIKE '%son' ORDER BY name; it took 3 s.
UPDATE stock SET n = n - 1 WHERE sku = 'A-1' AND n > 0;
CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40) DEFAULT 'x');
ALTER TABLE orders DROP COLUMN note; -- not needed any more
The server said: ORA-00933: SQL command not properly ended
You have an error in your SQL syntax near 'from' at line 1. What is wrong?
$ sudo systemctl restart nginx && tail -f /var/log/nginx/error.log
cat /proc/cpuinfo | grep "model name" | uniq
for f in *.jpg; do convert "$f" -resize 50% "small/$f"; done
find . -name '*.pyc' -exec rm -f {} \\;
curl -s https://example.org/install.txt -o install.txt; less install.txt
export PATH=$PATH:$HOME/bin; echo ${PATH}
if (a < b && c > d) { printf("%d\\n", a | b); }
const f = (x) => x?.y ?? `${x}`; document.getElementById('a').innerHTML = f(1);
$('#form').on('submit', function (e) { e.preventDefault(); alert('Saved!'); });
function add($a, $b) { return $a + $b; } echo add(1, 2); // 3
<?php echo htmlspecialchars($name, ENT_QUOTES); ?>
import os, sys\nprint(os.path.join(sys.argv[1], '..', 'data'))
def f(x): return {k: v for k, v in x.items() if k != 'id'}
public static void main(String[] args) { System.out.println("Hello, " + args[0]); }
Exception in thread "main" java.lang.NullPointerException at com.example.App.main(App.java:12)
Caused by: java.lang.ClassNotFoundException: org.example.Foo (wrong name: org/example/Bar)
{"name": "O'Neil", "tags": ["a", "b"], "nested": {"x": null, "y": [1, 2.5e3, true]}}
<note><to>Ann</to><body>Don't forget me &amp; my friend!</body></note>
key: value\nlist:\n  - a\n  - "b: c"\n# comment\n
\\frac{a}{b} + \\sqrt{x^2 + y^2} = \\int_0^1 f(t)\\,dt
f(x) = sin(x)/x, x != 0; f'(x) = (x cos x - sin x)/x^2
{{ user.name }} wrote {% if x %}yes{% endif %}
%s items, %d%% done, 100% sure
|a|b|\n|-|-|\n|1|2|
==Heading==\n'''bold''' ''italic'' [[Link|text]] {{Template|a=1}}<ref name="x">Smith (2001), p. 5.</ref>
""".strip().splitlines()

PASSWORDS = """
correct horse battery staple
P@ssw0rd!
x'y"z;--
$(pwgen)
`back`tick`
a|b&c;d
<secret>
%41%42
100%Sure!
pässwörd
../up/and/away
{"json":1}
' OR NOT
1=1?
\\\\slash//
()[]{}<>
#hash&amp;
p w d
""".strip().splitlines()


def pick(r: Random, *choices: str) -> str:
    return r.choice(choices)


def word(r: Random) -> str:
    return r.choice(ENGLISH)


def words(r: Random, low: int, high: int) -> str:
    return " ".join(r.choice(ENGLISH) for _ in range(r.randint(low, high)))


def foreign(r: Random, language: str = "") -> str:
    known = LANGUAGES.get(language) or r.choice(list(LANGUAGES.values()))
    return " ".join(r.choice(known) for _ in range(r.randint(1, 5)))


def query(r: Random, language: str = "") -> str:
    """What somebody searches for."""
    kind = r.random()
    if kind < 0.35:
        return words(r, 1, 4)
    if kind < 0.55:
        return foreign(r, language)
    if kind < 0.63:
        return r.choice(NAMES)
    if kind < 0.7:
        return f"{word(r)} {r.choice(['&', '+', '-', '/', 'or', 'and', '|', 'vs.', chr(39) + 's', ':', '='])} {word(r)}"
    if kind < 0.74:
        return f'"{words(r, 2, 4)}" {word(r)}'
    text = r.choice(QUERIES)
    if r.random() < 0.15:
        text = text.upper() if r.random() < 0.5 else text.title()
    return text + (f" {word(r)}" if r.random() < 0.15 else "")


def text(r: Random, parts: int = 3, language: str = "") -> str:
    """What somebody writes into a large field."""
    made = []
    for _ in range(r.randint(1, parts)):
        kind = r.random()
        if kind < 0.45:
            made.append(r.choice(SENTENCES).replace("\\r\\n", "\r\n").replace("\\n", "\n"))
        elif kind < 0.65:
            made.append(". ".join(foreign(r, language) for _ in range(r.randint(1, 6))))
        else:
            made.append(". ".join(words(r, 3, 14).capitalize() for _ in range(r.randint(1, 5))) + ".")
    return r.choice(["\r\n\r\n", "\n", " ", "\r\n"]).join(made)


def name(r: Random) -> str:
    return r.choice(NAMES) if r.random() < 0.5 else words(r, 1, 2).title()


def password(r: Random) -> str:
    if r.random() < 0.6:
        signs = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~ "
        return "".join(r.choice(signs) for _ in range(r.randint(8, 24)))
    return r.choice(PASSWORDS)


def slug(r: Random) -> str:
    parts = [r.choice(ENGLISH) for _ in range(r.randint(1, 6))]
    return r.choice(["-", "-", "-", "_", "+"]).join(parts)


def hexadecimal(r: Random, length: int) -> str:
    return f"{r.getrandbits(4 * length):0{length}x}"


def digits(r: Random, length: int) -> str:
    return "".join(r.choice("0123456789") for _ in range(length))


def identifier(r: Random, length: int) -> str:
    return "".join(
        r.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") for _ in range(length)
    )


def uuid(r: Random) -> str:
    h = hexadecimal(r, 32)
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def encoded(r: Random, value: str) -> str:
    """A value of a query as the many encoders there are write it."""
    kind = r.random()
    if kind < 0.45:
        return quote_plus(value)
    if kind < 0.75:  # encodeURIComponent
        return quote(value, safe="-_.!~*'()")
    if kind < 0.85:
        return quote(value, safe="-_.!~*'()/:@,;$")
    if kind < 0.92:
        made = quote_plus(value)
        return "".join(c.lower() if i > 1 and "%" in made[i - 2 : i] else c for i, c in enumerate(made))
    if kind < 0.96:
        return quote_plus(value, encoding="latin-1", errors="replace")
    return quote(value, safe="-_.!~*'()/:@,;$|{}[]<>^`\"\\")


def form(r: Random, pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)


def query_string(r: Random, pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{key}={encoded(r, value)}" for key, value in pairs)
