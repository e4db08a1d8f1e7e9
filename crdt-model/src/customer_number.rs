//! Customer numbers: how they are written, checked and given out by nodes that cannot ask each other.
//!
//! A number is `PREFIX-00012345-CC`: the prefix of its region's range, a count of at least eight
//! digits, and two check digits (ISO/IEC 7064, mod 97-10, over prefix and count). A customer is
//! identified by its record id; a number is a name that people can type.
//!
//! **Giving out.** Two nodes of one region that are apart must not give out the same number, so every
//! node has a [`Lane`] of its range: the counts that are divisible by two so many times, and no more.
//! The first node of a region has every second number, the next one every fourth, and so on. Lanes
//! hang on the number itself, not on how many nodes there are or where the range begins, so admitting
//! a node and widening a range never move them. There are gaps; there is no promise of an unbroken
//! sequence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::attribute::mod_97;
use crate::golden_record::Resolved;
use crate::id::Region;
use crate::path::AttributePath;
use crate::policy::NumberRange;
use crate::time::Hlc;

/// Where the numbers of a customer stand: one item for each.
const NUMBERS: &str = "identity/customer_number/";
/// The fewest digits of a count; shorter ones get leading zeros.
const DIGITS_MIN: usize = 8;
/// The most characters of a prefix.
const PREFIX_MAX: usize = 8;

/// A number that a region gave out: well formed, its check digits right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CustomerNumber {
    prefix: String,
    count: u64,
}

/// Why a text is not a customer number. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is not written like one.
    #[error("{text:?} is not a customer number: write it like EU-00012345-{example}")]
    Shape {
        /// The text, cut.
        text: String,
        /// The check digits of the example.
        example: String,
    },
    /// The check digits are wrong.
    #[error("the check digits of {text:?} are wrong: compare the number with the original")]
    CheckDigits {
        /// The text.
        text: String,
    },
    /// Its prefix belongs to a range, and the range does not reach that far.
    #[error(
        "{number} is outside of every range of {prefix}: compare it with the original, or have the \
         range widened in the policy"
    )]
    OutOfRange {
        /// The number.
        number: String,
        /// Its prefix.
        prefix: String,
    },
}

impl CustomerNumber {
    /// The number with this prefix and count; `None` when the prefix is not one, or the count is zero.
    #[must_use]
    pub fn new(prefix: &str, count: u64) -> Option<Self> {
        (is_prefix(prefix) && count > 0).then(|| Self { prefix: prefix.to_owned(), count })
    }

    /// The prefix of the range.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The count within the range.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Where a customer carries it.
    #[must_use]
    pub fn path(&self) -> Option<AttributePath> {
        format!("{NUMBERS}{self}").parse().ok()
    }
}

impl fmt::Display for CustomerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, count } = self;
        let check = check_digits(&format!("{prefix}{count:0DIGITS_MIN$}"));
        write!(f, "{prefix}-{count:0DIGITS_MIN$}-{check:02}")
    }
}

impl FromStr for CustomerNumber {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let parts: Vec<&str> = text.split('-').collect();
        let read = match parts[..] {
            [prefix, count, check] if check.len() == 2 && count.len() >= DIGITS_MIN => {
                let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
                let number = count.parse().ok().and_then(|count| Self::new(prefix, count));
                number.filter(|_| is_digits(count) && is_digits(check))
            }
            _ => None,
        };
        // One spelling for each number: no more leading zeros than there must be.
        let unchecked = |number: &Self| number.to_string().rsplit_once('-').map(|(n, _)| n.len());
        let Some(number) = read.filter(|n| unchecked(n) == Some(text.len().saturating_sub(3)))
        else {
            let example = format!("{:02}", check_digits("EU00012345"));
            return Err(NumberError::Shape { text: text.chars().take(80).collect(), example });
        };
        if number.to_string() == text {
            Ok(number)
        } else {
            Err(NumberError::CheckDigits { text: text.to_owned() })
        }
    }
}

/// The check digits of ISO/IEC 7064 mod 97-10, as in a LEI or IBAN.
fn check_digits(body: &str) -> u32 {
    let rest = mod_97(body.chars().chain("00".chars())).unwrap_or_default();
    98 - rest
}

fn is_prefix(text: &str) -> bool {
    (1..=PREFIX_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && text.bytes().any(|b| b.is_ascii_uppercase())
}

/// The number that a path states, whatever it looks like; none for any other path.
#[must_use]
pub fn of(path: &AttributePath) -> Option<String> {
    let item = path.as_str().strip_prefix(NUMBERS)?;
    if item.contains('/') { None } else { path.segments().pop() }
}

/// The region whose range a number is from; `None` for a number of another origin, for example one
/// that an import brought.
///
/// # Errors
/// [`NumberError`]: the text begins with the prefix of a range, so it says that it is one of ours, and
/// is malformed, mistyped or out of range.
pub fn check<'a>(
    numbers: &'a BTreeMap<Region, NumberRange>,
    text: &str,
) -> Result<Option<&'a Region>, NumberError> {
    let prefix = text.split('-').next().unwrap_or_default();
    if !text.contains('-') || !numbers.values().any(|range| range.prefix == prefix) {
        return Ok(None);
    }
    let number: CustomerNumber = text.parse()?;
    let home = numbers.iter().find(|(_, range)| contains(range, &number));
    home.map(|(region, _)| Some(region)).ok_or_else(|| NumberError::OutOfRange {
        number: text.to_owned(),
        prefix: prefix.to_owned(),
    })
}

fn contains(range: &NumberRange, number: &CustomerNumber) -> bool {
    range.prefix == number.prefix && (range.from..=range.to).contains(&number.count)
}

/// A node's share of its region's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane(u32);

impl Lane {
    /// The lane of a node: how many others were admitted to its region before it was for the first
    /// time. `admissions` are all that the roster ever made, in its order, with those that were revoked
    /// since and those that changed region; `None` when the node was never admitted to the region.
    ///
    /// The roster only grows, so a lane never changes and never passes to another node.
    pub fn of<'a, T: Ord + 'a>(
        admissions: impl IntoIterator<Item = (&'a T, &'a Region)>,
        node: &T,
        region: &Region,
    ) -> Option<Self> {
        let mut before = BTreeSet::new();
        for (admitted, _) in admissions.into_iter().filter(|(_, to)| *to == region) {
            if admitted == node {
                return u32::try_from(before.len()).ok().map(Self);
            }
            before.insert(admitted);
        }
        None
    }

    /// How many nodes were admitted before.
    #[must_use]
    pub const fn place(self) -> u32 {
        self.0
    }

    /// Whether the lane has this count.
    #[must_use]
    pub const fn has(self, count: u64) -> bool {
        count > 0 && count.trailing_zeros() == self.0
    }

    /// The least count of the lane above `floor`.
    fn above(self, floor: u64) -> Option<u64> {
        let first = 1_u64.checked_shl(self.0)?;
        // Counts of a lane are its first one times an odd number.
        let times = floor / first;
        let next =
            if times.is_multiple_of(2) { times.checked_add(1)? } else { times.checked_add(2)? };
        next.checked_mul(first)
    }
}

/// What a node knows of its own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It holds every commit that it ever acknowledged: its store came back as it was, or peers gave
    /// back what a restored copy lacked.
    Whole,
    /// It may lack commits of its own, which peers may hold.
    Catching,
    /// It gave up commits of its own for good. Which numbers they gave out, nobody knows.
    Lost,
}

/// Why no number is given out. Nothing was changed; a customer may be created without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoNumber {
    /// The lane of this node has no number left in the range.
    #[error(
        "this node's share of the customer numbers {prefix} from {from} to {to} is used up: ask a \
         governor for a wider range, or take a number at another node of the region"
    )]
    Exhausted {
        /// The prefix.
        prefix: String,
        /// The first number of the range.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// The node does not know yet which numbers it gave out.
    #[error(
        "this node was restored and does not know yet which numbers it gave out before: wait until it \
         has caught up with a peer, or create the customer without a number for now"
    )]
    Catching,
    /// The node will never know.
    #[error(
        "this node gave up commits of its own, so it cannot tell which numbers it gave out: have it \
         admitted under a new key, which gets numbers of its own"
    )]
    Lost,
}

/// The highest count of a lane among numbers that are in use: the floor for [`next`].
///
/// Give it every number that the node holds, of its own logs and of others: a number that somebody
/// typed in is taken, too.
pub fn highest<'a>(
    range: &NumberRange,
    lane: Lane,
    used: impl IntoIterator<Item = &'a CustomerNumber>,
) -> Option<u64> {
    let own = used.into_iter().filter(|number| contains(range, number) && lane.has(number.count));
    own.map(|number| number.count).max()
}

/// The next number that a node may give out, above the highest in use.
///
/// The caller makes the commit that uses it durable before it tells anybody; only then is it given.
///
/// # Errors
/// [`NoNumber`]: there is none left, or the node cannot know.
pub fn next(
    range: &NumberRange,
    lane: Lane,
    highest: Option<u64>,
    memory: Memory,
) -> Result<CustomerNumber, NoNumber> {
    match memory {
        Memory::Whole => {}
        Memory::Catching => return Err(NoNumber::Catching),
        Memory::Lost => return Err(NoNumber::Lost),
    }
    let floor = highest.unwrap_or_default().max(range.from.saturating_sub(1));
    let count = lane.above(floor).filter(|count| *count <= range.to);
    count.and_then(|count| CustomerNumber::new(&range.prefix, count)).ok_or_else(|| {
        NoNumber::Exhausted { prefix: range.prefix.clone(), from: range.from, to: range.to }
    })
}

/// The number of a customer that is shown, and its others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The number that was stated first.
    pub number: String,
    /// The others, in the order in which they were stated; all of them find the customer.
    pub aliases: Vec<String>,
}

/// Which of a customer's numbers is shown on a day: the one with the lowest (time, number).
#[must_use]
pub fn shown(resolved: &Resolved, day: Date) -> Option<Shown> {
    let mut numbers: Vec<(Hlc, String)> = Vec::new();
    for path in resolved.attributes.keys() {
        if !path.as_str().starts_with(NUMBERS) {
            continue;
        }
        let Some(resolution) = resolved.at(path, day) else { continue };
        let Some(winner) = &resolution.winner else { continue };
        let losers = resolution.losers.iter().filter(|loser| loser.reason.is_live());
        let origins = losers.map(|loser| &loser.candidate.origin).chain([&winner.origin]);
        let (Some(first), Some(number)) =
            (origins.map(|origin| origin.time).min(), path.segments().pop())
        else {
            continue;
        };
        numbers.push((first, number));
    }
    numbers.sort();
    let mut numbers = numbers.into_iter().map(|(_, number)| number);
    Some(Shown { number: numbers.next()?, aliases: numbers.collect() })
}

#[cfg(test)]
mod tests;
