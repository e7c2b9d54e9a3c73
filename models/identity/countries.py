"""The country that a text names: ISO 3166 codes of two or three letters, or an English name.

Names by ISO 3166-1 and by Unicode's territories in English (https://cldr.unicode.org), with those that are used beside
them. Only countries that have telephone numbers of their own, as libphonenumber counts them.
"""

import re
from functools import lru_cache
from unicodedata import combining, normalize

WORD = re.compile(r"[a-z]+")
SAYS_NOTHING = frozenset({"", "unknown", "none", "null", "undefined", "n a", "other"})


@lru_cache(maxsize=1_000)
def country(value: str | None, default: str | None) -> str | None:
    """The ISO 3166 code of two letters, as the phone rules take it.

    Args:
        value: the country as a provider wrote it.
        default: the account's, where a record names none.

    Returns None for a country that is not known: its national numbers are not read as another's.
    """
    text = (value or "").strip()
    code = text.upper()
    if code in CODES:
        return CODES[code]
    words = _words(text)
    return default if words in SAYS_NOTHING else NAMES.get(words)


def _words(text: str) -> str:
    """Without case, accents, points, apostrophes and articles; `&` is and, `St` is Saint."""
    plain = "".join(sign for sign in normalize("NFKD", text) if not combining(sign)).casefold()
    spelt = re.sub(r"[.'\u2019]", "", plain).replace("&", " and ")
    return " ".join("saint" if word == "st" else word for word in WORD.findall(spelt) if word != "the")


TABLE = """
AC ASC ascension island
AD AND andorra
AE ARE united arab emirates, uae
AF AFG afghanistan
AG ATG antigua and barbuda
AI AIA anguilla
AL ALB albania
AM ARM armenia
AO AGO angola
AR ARG argentina
AS ASM american samoa
AT AUT austria
AU AUS australia
AW ABW aruba
AX ALA aland islands
AZ AZE azerbaijan
BA BIH bosnia and herzegovina
BB BRB barbados
BD BGD bangladesh
BE BEL belgium
BF BFA burkina faso
BG BGR bulgaria
BH BHR bahrain
BI BDI burundi
BJ BEN benin
BL BLM saint barthelemy
BM BMU bermuda
BN BRN brunei, brunei darussalam
BO BOL bolivia, plurinational state of bolivia
BQ BES caribbean netherlands, bonaire sint eustatius and saba
BR BRA brazil
BS BHS bahamas
BT BTN bhutan
BW BWA botswana
BY BLR belarus
BZ BLZ belize
CA CAN canada
CC CCK cocos islands, keeling
CD COD congo kinshasa, democratic republic of congo, dr congo, drc
CF CAF central african republic
CG COG congo brazzaville, congo, republic of congo
CH CHE switzerland
CI CIV cote divoire, ivory coast
CK COK cook islands
CL CHL chile
CM CMR cameroon
CN CHN china, peoples republic of china, prc
CO COL colombia
CR CRI costa rica
CU CUB cuba
CV CPV cape verde, cabo verde
CW CUW curacao
CX CXR christmas island
CY CYP cyprus
CZ CZE czechia, czech republic
DE DEU germany
DJ DJI djibouti
DK DNK denmark
DM DMA dominica
DO DOM dominican republic
DZ DZA algeria
EC ECU ecuador
EE EST estonia
EG EGY egypt
EH ESH western sahara
ER ERI eritrea
ES ESP spain
ET ETH ethiopia
FI FIN finland
FJ FJI fiji
FK FLK falkland islands
FM FSM micronesia, federated states of micronesia
FO FRO faroe islands
FR FRA france
GA GAB gabon
GB GBR united kingdom, great britain, britain, england, scotland, wales, northern ireland, uk
GD GRD grenada
GE GEO georgia
GF GUF french guiana
GG GGY guernsey
GH GHA ghana
GI GIB gibraltar
GL GRL greenland
GM GMB gambia
GN GIN guinea
GP GLP guadeloupe
GQ GNQ equatorial guinea
GR GRC greece, el, hellas
GT GTM guatemala
GU GUM guam
GW GNB guinea bissau
GY GUY guyana
HK HKG hong kong, hong kong sar, hong kong sar china
HN HND honduras
HR HRV croatia
HT HTI haiti
HU HUN hungary
ID IDN indonesia
IE IRL ireland, republic of ireland
IL ISR israel
IM IMN isle of man
IN IND india
IO IOT british indian ocean territory
IQ IRQ iraq
IR IRN iran, islamic republic of iran
IS ISL iceland
IT ITA italy
JE JEY jersey
JM JAM jamaica
JO JOR jordan
JP JPN japan
KE KEN kenya
KG KGZ kyrgyzstan
KH KHM cambodia
KI KIR kiribati
KM COM comoros
KN KNA saint kitts and nevis
KP PRK north korea, democratic peoples republic of korea
KR KOR south korea, republic of korea, korea
KW KWT kuwait
KY CYM cayman islands
KZ KAZ kazakhstan
LA LAO laos, lao peoples democratic republic
LB LBN lebanon
LC LCA saint lucia
LI LIE liechtenstein
LK LKA sri lanka
LR LBR liberia
LS LSO lesotho
LT LTU lithuania
LU LUX luxembourg
LV LVA latvia
LY LBY libya
MA MAR morocco
MC MCO monaco
MD MDA moldova, republic of moldova
ME MNE montenegro
MF MAF saint martin
MG MDG madagascar
MH MHL marshall islands
MK MKD north macedonia, macedonia
ML MLI mali
MM MMR myanmar, burma
MN MNG mongolia
MO MAC macao, macau, macao sar, macao sar china
MP MNP northern mariana islands
MQ MTQ martinique
MR MRT mauritania
MS MSR montserrat
MT MLT malta
MU MUS mauritius
MV MDV maldives
MW MWI malawi
MX MEX mexico
MY MYS malaysia
MZ MOZ mozambique
NA NAM namibia
NC NCL new caledonia
NE NER niger
NF NFK norfolk island
NG NGA nigeria
NI NIC nicaragua
NL NLD netherlands, holland
NO NOR norway
NP NPL nepal
NR NRU nauru
NU NIU niue
NZ NZL new zealand
OM OMN oman
PA PAN panama
PE PER peru
PF PYF french polynesia
PG PNG papua new guinea
PH PHL philippines
PK PAK pakistan
PL POL poland
PM SPM saint pierre and miquelon
PR PRI puerto rico
PS PSE palestinian territories, state of palestine, palestine
PT PRT portugal
PW PLW palau
PY PRY paraguay
QA QAT qatar
RE REU reunion
RO ROU romania
RS SRB serbia
RU RUS russia, russian federation
RW RWA rwanda
SA SAU saudi arabia
SB SLB solomon islands
SC SYC seychelles
SD SDN sudan
SE SWE sweden
SG SGP singapore
SH SHN saint helena, saint helena ascension and tristan da cunha
SI SVN slovenia
SJ SJM svalbard and jan mayen
SK SVK slovakia, slovak republic
SL SLE sierra leone
SM SMR san marino
SN SEN senegal
SO SOM somalia
SR SUR suriname
SS SSD south sudan
ST STP sao tome and principe
SV SLV el salvador
SX SXM sint maarten
SY SYR syria, syrian arab republic
SZ SWZ eswatini, swaziland
TA TAA tristan da cunha
TC TCA turks and caicos islands
TD TCD chad
TG TGO togo
TH THA thailand
TJ TJK tajikistan
TK TKL tokelau
TL TLS timor leste, east timor
TM TKM turkmenistan
TN TUN tunisia
TO TON tonga
TR TUR turkiye, turkey
TT TTO trinidad and tobago
TV TUV tuvalu
TW TWN taiwan
TZ TZA tanzania, united republic of tanzania
UA UKR ukraine
UG UGA uganda
US USA united states, united states of america, america, usa
UY URY uruguay
UZ UZB uzbekistan
VA VAT vatican city, holy see, vatican
VC VCT saint vincent and grenadines
VE VEN venezuela, bolivarian republic of venezuela
VG VGB british virgin islands
VI VIR us virgin islands
VN VNM vietnam, viet nam
VU VUT vanuatu
WF WLF wallis and futuna
WS WSM samoa
XK XKX kosovo
YE YEM yemen
YT MYT mayotte
ZA ZAF south africa
ZM ZMB zambia
ZW ZWE zimbabwe
"""
"""ISO's codes of two and three letters, then names as `_words` leaves them."""


def _read_table() -> tuple[dict[str, str], dict[str, str]]:
    codes, names = dict[str, str](), dict[str, str]()
    for line in TABLE.strip().splitlines():
        two, three, called = line.split(" ", 2)
        codes |= {two: two, three: two}
        names |= dict.fromkeys(called.split(", "), two)
    return codes, names


CODES, NAMES = _read_table()
