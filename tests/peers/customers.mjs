// Made-up customers of about a kilobyte of JSON each. The same number gives the same customer on every
// machine and in every run, so that all systems carry the same data.

const SYLLABLES = "ba ker to lin ma ru sen vi dor pel na gru hof es ti wal".split(" ");
const TERMS = ["NT00", "NT14", "NT30", "NT45"];
const LANGUAGES = ["de", "en", "fr", "it"];

function mixed(number) {
  let bits = Math.imul(number ^ (number >>> 16), 0x21f0aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
  return bits ^ (bits >>> 15);
}

// Numbers that a seed decides (SplitMix32). The seed is mixed, too: otherwise one customer would draw what
// its neighbour drew, one later, and they would share tax ids and compress to nothing.
function numbers(seed) {
  let state = mixed(seed + 1);
  return (below) => {
    state = (state + 0x9e3779b9) | 0;
    return (mixed(state) >>> 0) % below;
  };
}

function words(next, count) {
  const word = () => Array.from({ length: 1 + next(3) }, () => SYLLABLES[next(16)]).join("");
  return Array.from({ length: count }, word).join(" ");
}

const title = (text) => text.replace(/(^| )[a-z]/g, (letter) => letter.toUpperCase());
const digits = (next, count) => Array.from({ length: count }, () => next(10)).join("");

// A German IBAN with right check digits: systems that check them must take it.
function iban(next) {
  const account = digits(next, 18);
  const check = 98n - (BigInt(`${account}131400`) % 97n);
  return `DE${String(check).padStart(2, "0")}${account}`;
}

// A German VAT number with a right check digit (ISO 7064, mod 11, 10).
function vat(next) {
  const number = `${1 + next(9)}${digits(next, 7)}`;
  let product = 10;
  for (const digit of number) {
    product = (2 * ((Number(digit) + product) % 10 || 10)) % 11;
  }
  return `DE${number}${(11 - product) % 10}`;
}

function address(next) {
  return {
    street: title(`${words(next, 2)} strasse`),
    houseNumber: String(1 + next(200)),
    postcode: digits(next, 5),
    city: title(words(next, 1)),
    country: "DE",
  };
}

function contact(next, number, role) {
  const family = title(words(next, 1));
  return {
    given: title(words(next, 1)),
    family,
    role,
    email: `${family.toLowerCase()}.${role}@customer${number}.example`,
    phone: `+4930${digits(next, 8)}`,
  };
}

// One customer by its number.
export function customer(number) {
  const next = numbers(number);
  const name = title(`${words(next, 3)} ${number} GmbH`);
  return {
    number: String(1_000_000 + number),
    name,
    tradingName: title(words(next, 2)),
    language: LANGUAGES[next(4)],
    website: `https://www.customer${number}.example/`,
    vat: vat(next),
    legalAddress: address(next),
    deliveryAddress: address(next),
    bank: { iban: iban(next), bic: "XMPLDE2X", holder: name },
    purchasing: contact(next, number, "purchasing"),
    accounting: contact(next, number, "accounting"),
    reconAccount: "140000",
    paymentTerms: TERMS[next(4)],
    creditLimit: String(1_000 * (1 + next(500))),
    deliveryNote: words(next, 20),
    accountingNote: words(next, 20),
  };
}

// The customers 0 to count - 1.
export function customers(count) {
  return Array.from({ length: count }, (_, number) => customer(number));
}
