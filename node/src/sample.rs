//! Made-up customers: the files of three regional systems that know some of the same companies.
//!
//! The files differ as such files do: names of columns, delimiters, decimal signs, days, codes of
//! payment terms, spellings of one name. Everything is drawn from a seed, so that the same seed gives
//! the same bytes everywhere. Names are absurd on purpose, check digits are right, and nothing here
//! is taken from a real company or person. Not a generator of load for measurements.

mod company;
mod number;
mod random;
mod rows;

use self::company::{Company, Territory};

/// The most customers that can be asked for.
pub const CUSTOMERS_MAX: u32 = 1_000_000;
/// The seed of the files in `examples/data`.
pub const SEED: u64 = 7;
/// The number of customers in the files in `examples/data`.
pub const CUSTOMERS: u32 = 200;

/// One file, with its place below the directory that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleFile {
    /// For example `data/emea.csv`.
    pub path: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The files: three of customers and the mapping for each. Each customer is in at least one file,
/// about every third in several.
#[must_use]
pub fn files(seed: u64, customers: u32) -> Vec<SampleFile> {
    let companies: Vec<Company> =
        (0..customers.min(CUSTOMERS_MAX)).map(|index| Company::draw(seed, index)).collect();
    let data = |path, territory| SampleFile { path, bytes: rows::file(&companies, territory) };
    let mapping = |path, text: &str| SampleFile { path, bytes: text.as_bytes().to_vec() };
    vec![
        data("data/emea.csv", Territory::Emea),
        data("data/amer.csv", Territory::Amer),
        data("data/apac.csv", Territory::Apac),
        mapping("mappings/emea.toml", include_str!("../../examples/mappings/emea.toml")),
        mapping("mappings/amer.toml", include_str!("../../examples/mappings/amer.toml")),
        mapping("mappings/apac.toml", include_str!("../../examples/mappings/apac.toml")),
    ]
}

#[cfg(test)]
mod tests;
