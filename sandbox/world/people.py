"""Who calls: people, agents, and the company's own numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import NamedTuple
from unicodedata import normalize

from sandbox.world.clock import DAY

FIRST_NAMES = (
    *("Ana", "Bruno", "Camille", "Dieter", "Elena", "Femke", "Gustavo", "Hannah", "Inês", "João", "Katrin", "Luís"),
    *("María", "Noah", "Olivia", "Paulo", "Renée", "Sofía", "Tom", "Ursula", "Valentina", "Willem", "Xavier", "Yara"),
    *("Zoë", "Amélie", "Björn", "Chloë", "Diego", "Emma"),
)
LAST_NAMES = (
    *("Almeida", "Bakker", "Costa", "Dubois", "Evans", "Ferreira", "García", "Hoffmann", "Iglesias", "Jansen"),
    *("Köhler", "Lefèvre", "Martínez", "Nunes", "Oliveira", "Pereira", "Quinn", "Rocha", "Schmidt", "Taylor"),
    *("Ulrich", "Visser", "Weber", "Ximenes", "Young", "Zimmermann", "O'Brien", "Müller", "Moreau", "de Vries"),
)
_HOW_MANY = (1,) * 7 + (2, 2, 3)
COMPANIES = ("Acme", "Globex", "Initech", "Umbrella", "Hooli", "Vandelay", "Wonka & Fils", "Çelik GmbH")


class Plan(NamedTuple):
    """A country's numbers: `#` is any digit, `N` 2 to 9."""

    city: str
    code: str
    mask: str
    trunk: str
    sizes: tuple[int, ...]
    separator: str = " "


PLANS = {
    "US": Plan("Boston", "1", "212N6#####N", "", (3, 3, 4), "-"),
    "FR": Plan("Lyon", "33", "61#######", "0", (1, 2, 2, 2, 2)),
    "DE": Plan("Köln", "49", "151########", "0", (3, 8)),
    "NL": Plan("Utrecht", "31", "61#######", "0", (1, 8)),
    "PT": Plan("Porto", "351", "91#######", "", (3, 3, 3)),
    "GB": Plan("Leeds", "44", "7400######", "0", (4, 6)),
    "MX": Plan("Puebla", "52", "55N#######", "", (2, 4, 4)),
    "BR": Plan("Recife", "55", "119N#######", "", (2, 5, 4)),
}
COUNTRIES = tuple(PLANS)


@dataclass(frozen=True, slots=True)
class Number:
    country: str
    e164: str
    national: str

    @property
    def digits(self) -> str:
        return self.e164[1:]

    @property
    def variant(self) -> str:
        """The older spelling of the same line: Mexico with a 1, Brazil without the ninth digit."""
        if self.country == "MX":
            return f"+521{self.e164[3:]}"
        return f"{self.e164[:5]}{self.e164[6:]}" if self.country == "BR" else self.e164


@dataclass(frozen=True, slots=True)
class Person:
    first: str
    last: str
    email: str
    company: str
    numbers: tuple[Number, ...]
    created: int


@dataclass(frozen=True, slots=True)
class Agent:
    id: str
    first: str
    last: str
    email: str
    client: str
    mobile: Number


@dataclass(frozen=True, slots=True)
class Line:
    """A number of the company's own."""

    id: str
    name: str
    number: Number
    channel: int


@dataclass(frozen=True, slots=True)
class Cast:
    people: list[Person]
    agents: list[Agent]
    lines: list[Line]


def uuid(rng: Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def opaque(rng: Random) -> str:
    return f"{rng.getrandbits(96):024x}"


def numbers(rng: Random) -> Iterator[Number]:
    """Numbers that do not repeat."""
    seen: set[str] = set()
    while True:
        number = _number(rng, rng.choice(COUNTRIES))
        if number.e164 not in seen:
            seen.add(number.e164)
            yield number


def _number(rng: Random, country: str) -> Number:
    plan = PLANS[country]
    digits = "".join(_digit(rng, sign) for sign in plan.mask)[: sum(plan.sizes)]
    return Number(country, f"+{plan.code}{digits}", plan.trunk + plan.separator.join(_groups(digits, plan.sizes)))


def _digit(rng: Random, sign: str) -> str:
    if sign == "#":
        return str(int(rng.random() * 10))
    return str(2 + int(rng.random() * 8)) if sign == "N" else sign


def _groups(digits: str, sizes: tuple[int, ...]) -> Iterator[str]:
    start = 0
    for size in sizes:
        yield digits[start : start + size]
        start += size


def cast(rng: Random, people: int, until: int) -> Cast:
    supply = numbers(rng)
    lines = [Line(opaque(rng), f"Line {n + 1}", next(supply), n % 3) for n in range(12)]
    agents = [_agent(rng, next(supply)) for _ in range(10)]
    return Cast([_person(rng, supply, until) for _ in range(people)], agents, lines)


def _agent(rng: Random, mobile: Number) -> Agent:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return Agent(opaque(rng), first, last, _email(first, last, "callweave.example"), uuid(rng), mobile)


def _person(rng: Random, supply: Iterator[Number], until: int) -> Person:
    first, last, company = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES), rng.choice(COMPANIES)
    owned = tuple(next(supply) for _ in range(rng.choice(_HOW_MANY)))
    created = until - int(rng.random() * 700 * DAY) - 30 * DAY
    return Person(first, last, _email(first, last, "example.org"), company, owned, created)


@lru_cache(maxsize=2048)
def _email(first: str, last: str, domain: str) -> str:
    plain = normalize("NFD", f"{first}.{last}").encode("ascii", "ignore").decode()
    return f"{plain}@{domain}".replace(" ", "").replace("'", "").lower()
