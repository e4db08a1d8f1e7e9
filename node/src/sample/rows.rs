//! The file of one regional system: its columns, its signs, its codes.

use super::company::{Company, Country, Territory};
use super::number::{iban, phone, vat};
use super::random::Random;

/// What all systems say in their own way.
struct Account<'a> {
    company: &'a Company,
    country: &'static Country,
    random: Random,
    street: String,
    postcode: String,
    city: &'static str,
    state: &'static str,
    phone: String,
    mail: String,
    iban: String,
    terms: usize,
    limit: u64,
    risk: usize,
}

/// The file of a territory, with a header and a row for each company that the system knows.
pub(super) fn file(companies: &[Company], territory: Territory) -> Vec<u8> {
    let known = companies.iter().filter(|company| company.known_to.contains(&territory));
    let accounts = known.map(|company| account(company, territory));
    match territory {
        Territory::Emea => {
            // Excel marks UTF-8 with a byte order mark.
            let mut bytes = "\u{feff}".as_bytes().to_vec();
            bytes.extend(table(b';', &EMEA, accounts.map(emea)));
            bytes
        }
        Territory::Amer => table(b',', &AMER, accounts.map(amer)),
        Territory::Apac => table(b',', &APAC, accounts.map(apac)),
    }
}

const EMEA: [&str; 24] = [
    "KUNNR", "KTOKD", "NAME1", "SORTL", "SPRAS", "URL", "STCEG", "STRAS", "HAUSN", "PSTLZ",
    "ORT01", "LAND1", "TELF1", "SMTP", "IBAN", "SWIFT", "KOINH", "AKONT", "ZTERM", "MANSP",
    "KLIMK", "WAERS", "CTLPC", "GRDAT",
];
const AMER: [&str; 21] = [
    "Customer No",
    "Legal Name",
    "Doing Business As",
    "Website",
    "Tax Type",
    "Tax Id",
    "Street",
    "City",
    "State",
    "ZIP",
    "Country",
    "Phone",
    "AP Email",
    "Routing",
    "Account",
    "IBAN",
    "GL Account",
    "Terms",
    "Credit Limit",
    "Risk",
    "Order Hold",
];
const APAC: [&str; 24] = [
    "cust_no",
    "name_en",
    "name_local",
    "website",
    "tax_type",
    "tax_no",
    "addr_1",
    "city",
    "post_code",
    "country_code",
    "tel",
    "mail",
    "iban",
    "swift",
    "gl_account",
    "terms",
    "credit_limit",
    "currency",
    "risk",
    "incoterms",
    "incoterms_place",
    "price_list",
    "price_list_from",
    "remark",
];

/// Fields in the manner of RFC 4180, in quotes where they need it.
fn table<const N: usize>(
    delimiter: u8,
    header: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    // A vector takes every byte; there is no error to tell.
    drop(writer.write_record(header));
    for row in rows {
        drop(writer.write_record(&row));
    }
    writer.into_inner().unwrap_or_default()
}

fn account(company: &Company, territory: Territory) -> Account<'_> {
    let salt = match territory {
        Territory::Emea => 1,
        Territory::Amer => 2,
        Territory::Apac => 3,
    };
    let mut random = Random::new(company.seed, company.index, salt);
    let is_home = company.home == territory;
    let country = if is_home { company.country } else { random.pick(territory.countries()) };
    let (city, start, state) = *random.pick(country.places);
    let postcode = format!("{start}{}{}", random.digits(country.postcode.0), country.postcode.1);
    let phone = phone(&mut random, country.code, country.phone);
    let mail = format!("accounts.{}@{}", country.code.to_ascii_lowercase(), company.domain());
    // The account at home, the same in every file: two systems name one account.
    let mut of_company = Random::new(company.seed, company.index, 4);
    let is_european = company.home == Territory::Emea;
    let iban =
        if is_european { iban(&mut of_company, company.country.code) } else { String::new() };
    let usual_terms = usize::try_from(of_company.below(4)).unwrap_or_default();
    let usual_risk = usize::try_from(of_company.below(3)).unwrap_or_default();
    let drawn = |random: &mut Random, usual, choices| {
        let other = usize::try_from(random.below(choices)).unwrap_or_default();
        if random.percent(75) { usual } else { other }
    };
    Account {
        company,
        country,
        street: format!("{} {}", random.between(1, 250), country.street),
        postcode,
        city,
        state,
        phone,
        mail,
        iban,
        terms: drawn(&mut random, usual_terms, 4),
        limit: random.between(1, 40) * 2_500,
        risk: drawn(&mut random, usual_risk, 3),
        random,
    }
}

impl Account<'_> {
    /// The name as this system has it: not all systems agree about legal forms and capitals.
    fn name(&mut self) -> String {
        let full = format!("{} {}", self.company.name, self.company.country.form);
        match self.random.below(10) {
            0 => full.to_uppercase(),
            1 => full.replace("Sp. z o.o.", "Spółka z o.o.").replace("Ltd.", "Limited"),
            _ => full,
        }
    }

    /// Present in so many of a hundred rows.
    fn at_times(&mut self, percent: u64, text: impl FnOnce() -> String) -> String {
        if self.random.percent(percent) { text() } else { String::new() }
    }

    fn website(&mut self) -> String {
        let domain = self.company.domain();
        let mut random = self.random.clone();
        self.at_times(70, || {
            if random.percent(80) {
                format!("https://www.{domain}")
            } else {
                format!("http://{domain}")
            }
        })
    }

    fn bic(&self) -> String {
        if self.iban.is_empty() { String::new() } else { format!("XMPL{}2X", self.home_code()) }
    }

    const fn home_code(&self) -> &'static str {
        self.company.country.code
    }
}

fn emea(mut account: Account<'_>) -> [String; 24] {
    let name = account.name();
    let country = account.country;
    let language = match country.code {
        "DE" | "AT" => "D",
        "FR" => "F",
        "IT" => "I",
        "PL" => "L",
        "NL" => "N",
        _ => "E",
    };
    let (house, street) = account.street.split_once(' ').unwrap_or_default();
    let (house, street) = (house.to_owned(), street.to_owned());
    let short = account.company.name.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let (year, month, day) = account.company.founded;
    let holder = if account.iban.is_empty() { String::new() } else { name.clone() };
    [
        account.company.number.clone(),
        if country.code == "DE" { "DEBI" } else { "EXPO" }.to_owned(),
        name,
        account.at_times(40, || short),
        language.to_owned(),
        account.website(),
        vat(&mut account.random, country.code),
        street,
        house,
        account.postcode.clone(),
        account.city.to_owned(),
        country.code.to_owned(),
        account.phone.clone(),
        account.mail.clone(),
        account.iban.clone(),
        account.bic(),
        holder,
        "140000".to_owned(),
        ["ZB00", "ZB14", "ZB30", "ZB60"][account.terms].to_owned(),
        account.at_times(6, || "A".to_owned()),
        german(account.limit),
        country.currency.to_owned(),
        ["001", "002", "003"][account.risk].to_owned(),
        format!("{day:02}.{month:02}.{year}"),
    ]
}

fn amer(mut account: Account<'_>) -> [String; 21] {
    let name = account.name();
    let country = account.country;
    let (tax_type, tax_id) = match country.code {
        // 00 is no prefix of an EIN in use, 99 no region of the Federal Reserve.
        "US" => ("EIN", format!("00-{}", account.random.digits(7))),
        "CA" => ("BN", format!("{}RT0001", account.random.digits(9))),
        _ => ("RFC", format!("XXX0101{}XX0", account.random.between(10, 28))),
    };
    let is_american = country.code == "US" && account.iban.is_empty();
    let routing =
        if is_american { format!("99{}", account.random.digits(7)) } else { String::new() };
    let bank = if is_american { account.random.digits(10) } else { String::new() };
    let short = account.company.name.split(' ').take(2).collect::<Vec<_>>().join(" ");
    [
        account.company.number.clone(),
        name,
        account.at_times(30, || short),
        account.website(),
        tax_type.to_owned(),
        tax_id,
        account.street.clone(),
        account.city.to_owned(),
        account.state.to_owned(),
        account.postcode.clone(),
        country.code.to_owned(),
        account.phone.clone(),
        account.mail.clone(),
        routing,
        bank,
        account.iban.clone(),
        "12100".to_owned(),
        ["Due on receipt", "Net 14", "Net 30", "Net 60"][account.terms].to_owned(),
        american(account.limit),
        ["low", "medium", "high"][account.risk].to_owned(),
        if account.random.percent(5) { "Y" } else { "N" }.to_owned(),
    ]
}

fn apac(mut account: Account<'_>) -> [String; 24] {
    let name = account.name();
    let country = account.country;
    let is_japanese = country.code == "JP";
    let (tax_type, tax_id) = match country.code {
        "JP" => ("CN", account.random.digits(13)),
        "SG" => ("UEN", format!("{}X", account.random.digits(9))),
        _ => ("ABN", account.random.digits(11)),
    };
    // Katakana of the word for "sample": nobody takes it for a company.
    let local = if is_japanese {
        format!("サンプル{}号", account.company.index)
    } else {
        String::new()
    };
    let limit = if is_japanese { account.limit * 150 } else { account.limit };
    let has_price_list = account.random.percent(20);
    let (list, from) = if has_price_list { ("P2027", "20270101") } else { ("", "") };
    [
        account.company.number.clone(),
        name,
        local,
        account.website(),
        tax_type.to_owned(),
        tax_id,
        account.street.clone(),
        account.city.to_owned(),
        account.postcode.clone(),
        country.code.to_owned(),
        account.phone.clone(),
        account.mail.clone(),
        account.iban.replace(' ', ""),
        account.bic(),
        "1130".to_owned(),
        ["COD", "D14", "D30", "D60"][account.terms].to_owned(),
        limit.to_string(),
        country.currency.to_owned(),
        ["A", "B", "C"][account.risk].to_owned(),
        (*account.random.pick(&["FCA", "DAP", "CIF"])).to_owned(),
        account.city.to_owned(),
        list.to_owned(),
        from.to_owned(),
        account.at_times(10, || "Call first, the line is \"bad\", very bad".to_owned()),
    ]
}

/// `12500` as `12.500,00`.
fn german(amount: u64) -> String {
    format!("{},00", thousands(amount, '.'))
}

/// `12500` as `12,500.00`.
fn american(amount: u64) -> String {
    format!("{}.00", thousands(amount, ','))
}

fn thousands(amount: u64, sign: char) -> String {
    if amount < 1_000 {
        amount.to_string()
    } else {
        format!("{}{sign}{:03}", amount / 1_000, amount % 1_000)
    }
}
