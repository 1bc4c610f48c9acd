"""Buyers: names and addresses as varied as they come, and every personal text carries a canary.

Whoever finds `PII-<seed>-<n>` in a log, a metric or an address knows whose data went where it must not be.
"""

from msgspec import Struct

from ops.sandbox.chance import choose, digits, happens, whole

FIRST_NAMES = (
    *("Ann", "Zoë", "Łukasz", "Siân", "Mehmet", "Ngọc Anh", "Αλέξανδρος", "محمد", "美咲", "Оксана", "Jean-Luc", "Chloe", "Tamar"),
    *("O'Neill", "Renée 🌿", "Ó"),
)
LAST_NAMES = (
    *("Smith", "d’Arcy-Jones", "Żółkiewska", "van der Berg", "Ní Bhriain", "Παπαδόπουλος", "العبدالله", "渡辺", "Шевченко", "Nguyễn"),
    *("Müller-Lüdenscheidt", "Ø", "McDonald & Sons", "Çelik", "O’Brien", "Li"),
)
STREETS = (
    *("12 rue de l'Église", "Flat 3, 27 Kirkgate", "1 Example Street", "Große Straße 7a", "Unit 4; Old Mill", 'The "Old" Rectory'),
    *("ul. Świętokrzyska 30/63", "Apt 12\\B, Harbour View", "99 Long Lane", "渋谷区神南1-2-3"),
)
PLACES = (  # city, postcode, alpha-2, alpha-3, as people write it
    ("Leeds", "LS1 4AP", "GB", "GBR", "United Kingdom"),
    ("Kraków", "31-042", "PL", "POL", "Polska"),
    ("London", "E1 6AN", "GB", "GBR", "United Kingdom"),
    ("Llanfairpwll", "LL61 5UJ", "GB", "GBR", "Wales"),
    ("München", "80331", "DE", "DEU", "Deutschland"),
    ("Bristol", "BS1 5TR", "GB", "GBR", "GB"),
    ("Baile Átha Cliath", "D02 AF30", "IE", "IRL", "Ireland"),
    ("Glasgow", "G2 3BZ", "GB", "GBR", "United Kingdom"),
    ("Lübeck", "23552", "DE", "DEU", "Germany"),
    ("St Ives", "TR26 1SE", "GB", "GBR", "GBR"),
)


class Person(Struct, frozen=True):
    """A buyer, in the marketplace's words. None: the buyer left it out."""

    customer_id: str
    first_name: str
    last_name: str
    address_first_name: str | None
    company: str | None
    street_1: str
    street_2: str | None
    more: str | None  # on how to find the door
    city: str
    zip_code: str
    state: str | None
    country: str
    alpha_2: str
    alpha_3: str | None
    phone: str | None
    phone_secondary: str | None
    email: str


def person(seed: int, n: int) -> Person:
    mark = f"PII-{seed}-{n}"

    def one(options: tuple[str, ...], what: str) -> str:
        return f"{choose(seed, options, 'person', n, what)} {mark}"

    def maybe(probability: float, what: str, text: str) -> str | None:
        return text if happens(seed, probability, "person", n, what) else None

    city, zip_code, alpha_2, alpha_3, country = choose(seed, PLACES, "person", n, "place")
    first, phone = one(FIRST_NAMES, "first"), f"0{digits(seed, 10, 'person', n, 'phone')} {mark}"
    return Person(
        customer_id=f"{mark}@example.com" if happens(seed, 0.2, "person", n, "id") else f"{whole(seed, 10**6, 10**8, 'id', n)}-{mark}",
        first_name=first,
        last_name=one(LAST_NAMES, "last"),
        address_first_name=maybe(0.85, "address first", first),
        company=maybe(0.15, "company", f"{mark} Ltd"),
        street_1=one(STREETS, "street"),
        street_2=maybe(0.3, "street 2", f"2nd floor, {mark}"),
        more=maybe(0.15, "more", f"Bell {mark}"),
        city=f"{city} {mark}",
        zip_code=zip_code,
        state=maybe(0.2, "state", "West Yorkshire" if alpha_2 == "GB" else city),
        country=country,
        alpha_2=alpha_2,
        alpha_3=maybe(0.7, "alpha 3", alpha_3),
        phone=maybe(0.75, "has phone", phone),
        phone_secondary=maybe(0.2, "second phone", phone),
        email=f"{mark}.{digits(seed, 6, 'person', n, 'relay')}@notification.example",
    )
