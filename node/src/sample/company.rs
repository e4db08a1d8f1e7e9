//! A made-up company: its name, its home, and which regional systems know it.

use super::random::Random;

/// The regional systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Territory {
    Emea,
    Amer,
    Apac,
}

/// A country with what is needed to make an address in it.
#[derive(Debug)]
pub(super) struct Country {
    pub(super) code: &'static str,
    pub(super) form: &'static str,
    pub(super) currency: &'static str,
    /// Places with the start of their postcode and their state; the rest is drawn.
    pub(super) places: &'static [(&'static str, &'static str, &'static str)],
    /// How many digits of the postcode are drawn, and what follows them.
    pub(super) postcode: (usize, &'static str),
    pub(super) street: &'static str,
    /// National form of telephone numbers; ranges for films where the country has them.
    pub(super) phone: &'static str,
}

/// A company.
#[derive(Debug)]
pub(super) struct Company {
    pub(super) seed: u64,
    pub(super) index: u32,
    /// The customer number that every system uses.
    pub(super) number: String,
    /// The name without the legal form.
    pub(super) name: String,
    pub(super) home: Territory,
    pub(super) country: &'static Country,
    /// The systems that know it; the home always does.
    pub(super) known_to: Vec<Territory>,
    pub(super) founded: (u64, u64, u64),
}

const TERRITORIES: [Territory; 3] = [Territory::Emea, Territory::Amer, Territory::Apac];

const MOODS: [&str; 24] = [
    "Lunar",
    "Purple",
    "Sleepy",
    "Velvet",
    "Wobbly",
    "Crimson",
    "Hollow",
    "Jolly",
    "Silver",
    "Grumpy",
    "Polite",
    "Turbo",
    "Mellow",
    "Upside",
    "Paper",
    "Quiet",
    "Rusty",
    "Salty",
    "Tiny",
    "Umber",
    "Vague",
    "Wandering",
    "Yellow",
    "Zigzag",
];
const BEINGS: [&str; 24] = [
    "Turnip", "Walrus", "Teapot", "Badger", "Pickle", "Heron", "Lantern", "Mammoth", "Noodle",
    "Otter", "Pumpkin", "Quokka", "Radish", "Spoon", "Tapir", "Umbrella", "Vole", "Waffle", "Yak",
    "Zeppelin", "Almond", "Bison", "Cactus", "Dodo",
];
const TRADES: [&str; 12] = [
    "Machinery",
    "Logistics",
    "Foods",
    "Textiles",
    "Optics",
    "Chemicals",
    "Trading",
    "Packaging",
    "Robotics",
    "Energy",
    "Paper Mills",
    "Instruments",
];

const EMEA: &[Country] = &[
    Country {
        code: "DE",
        form: "GmbH",
        currency: "EUR",
        places: &[
            ("Berlin", "10", ""),
            ("Köln", "50", ""),
            ("München", "80", ""),
            ("Würzburg", "97", ""),
        ],
        postcode: (3, ""),
        street: "Rübenstraße",
        phone: "030 23125###",
    },
    Country {
        code: "AT",
        form: "GmbH",
        currency: "EUR",
        places: &[("Wien", "10", ""), ("Graz", "80", "")],
        postcode: (2, ""),
        street: "Knödelgasse",
        phone: "01 89#####",
    },
    Country {
        code: "FR",
        form: "SAS",
        currency: "EUR",
        places: &[("Lyon", "690", ""), ("Orléans", "450", "")],
        postcode: (2, ""),
        street: "Rue du Navet",
        phone: "02 61 91 ## ##",
    },
    Country {
        code: "NL",
        form: "B.V.",
        currency: "EUR",
        places: &[("Utrecht", "35", ""), ("Groningen", "97", "")],
        postcode: (2, " XX"),
        street: "Raapstraat",
        phone: "020 55# ####",
    },
    Country {
        code: "IT",
        form: "S.r.l.",
        currency: "EUR",
        places: &[("Milano", "201", ""), ("Forlì", "471", "")],
        postcode: (2, ""),
        street: "Via della Rapa",
        phone: "02 5550 ####",
    },
    Country {
        code: "PL",
        form: "Sp. z o.o.",
        currency: "PLN",
        places: &[("Łódź", "90-", ""), ("Gdańsk", "80-", "")],
        postcode: (3, ""),
        street: "ul. Rzepowa",
        phone: "22 55# ## ##",
    },
];

const AMER: &[Country] = &[
    Country {
        code: "US",
        form: "Inc.",
        currency: "USD",
        places: &[
            ("Springfield", "627", "IL"),
            ("Albany", "122", "NY"),
            ("Austin", "787", "TX"),
            ("Portland", "972", "OR"),
        ],
        postcode: (2, ""),
        street: "Turnip Ave",
        phone: "(212) 555-01##",
    },
    Country {
        code: "CA",
        form: "Ltd.",
        currency: "CAD",
        places: &[("Toronto", "M5V ", "ON"), ("Halifax", "B3H ", "NS")],
        postcode: (1, "X0"),
        street: "Rutabaga Road",
        phone: "(416) 555-01##",
    },
    Country {
        code: "MX",
        form: "S.A. de C.V.",
        currency: "MXN",
        places: &[("Guadalajara", "441", "JAL"), ("Mérida", "970", "YUC")],
        postcode: (2, ""),
        street: "Calle del Nabo",
        phone: "55 5555 0###",
    },
];

const APAC: &[Country] = &[
    Country {
        code: "JP",
        form: "K.K.",
        currency: "JPY",
        places: &[("Osaka", "530-", ""), ("Sendai", "980-", "")],
        postcode: (4, ""),
        street: "Kabu-dori",
        phone: "03-5550-####",
    },
    Country {
        code: "SG",
        form: "Pte. Ltd.",
        currency: "SGD",
        places: &[("Singapore", "04", "")],
        postcode: (4, ""),
        street: "Radish Lane",
        phone: "6555 0###",
    },
    Country {
        code: "AU",
        form: "Pty Ltd",
        currency: "AUD",
        places: &[("Sydney", "20", ""), ("Hobart", "70", "")],
        postcode: (2, ""),
        street: "Parsnip Street",
        phone: "(02) 5550 ####",
    },
];

impl Territory {
    /// The countries in which its customers have addresses.
    pub(super) const fn countries(self) -> &'static [Country] {
        match self {
            Self::Emea => EMEA,
            Self::Amer => AMER,
            Self::Apac => APAC,
        }
    }
}

impl Company {
    /// The company of a number: always the same for a seed.
    pub(super) fn draw(seed: u64, index: u32) -> Self {
        let mut random = Random::new(seed, index, 0);
        let home = *random.pick(&TERRITORIES);
        let country = random.pick(home.countries());
        // Every third company has customers' numbers in other regions, too.
        let abroad = match random.below(100) {
            0..15 => 2,
            15..35 => 1,
            _ => 0,
        };
        let mut others: Vec<Territory> =
            TERRITORIES.into_iter().filter(|territory| *territory != home).collect();
        if random.percent(50) {
            others.reverse();
        }
        let known_to = std::iter::once(home).chain(others.into_iter().take(abroad)).collect();
        Self {
            seed,
            index,
            number: format!("{}", 1_000_000 + u64::from(index) * 17 % 9_000_000),
            name: name(index, &mut random),
            home,
            country,
            known_to,
            founded: (random.between(1890, 2019), random.between(1, 12), random.between(1, 28)),
        }
    }

    /// The name without blanks, in lower case, for addresses on the web.
    pub(super) fn domain(&self) -> String {
        let letters = self.name.chars().filter(char::is_ascii_alphanumeric);
        format!("{}.example", letters.collect::<String>().to_ascii_lowercase())
    }
}

/// A name that no other company of the same run has.
fn name(index: u32, random: &mut Random) -> String {
    let at = usize::try_from(index).unwrap_or_default();
    let (moods, beings) = (MOODS.len(), BEINGS.len());
    // Steps without a common divisor with the lengths go through every pair.
    let mood = MOODS[at * 7 % moods];
    let being = BEINGS[(at * 5 + at / moods) % beings];
    let trade = random.pick(&TRADES);
    match at / (moods * beings) {
        0 => format!("{mood} {being} {trade}"),
        round => format!("{mood} {being} {trade} {}", round + 1),
    }
}
