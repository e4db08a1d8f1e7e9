//! What the keys of the configuration take, and how that is said.

use std::fmt;
use std::net::SocketAddr;

use crdt_model::id::Region;

use super::Raw;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name: 1 to 63 letters, digits, `-`, `_` and `.`.
    Name,
    /// A region: 1 to 16 upper-case letters, digits and `-`.
    Region,
    /// An address of this machine with a port, not a host name.
    Address,
    /// A list of `host:port`.
    Addresses,
    /// A list of names of nodes.
    Names,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A level, or directives of the crate `tracing-subscriber` such as `info,node::replica=debug`.
    Level,
    /// A whole number from the first to the second.
    Whole(u64, u64),
}

impl Kind {
    /// A text from the environment or a flag, as this kind reads it.
    pub(super) fn raw(self, text: &str) -> Raw {
        match self {
            Self::Addresses | Self::Names => {
                let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                Raw::List(entries.map(str::to_owned).collect())
            }
            Self::Whole(..) => {
                text.trim().parse().map_or_else(|_| Raw::Text(text.to_owned()), Raw::Whole)
            }
            Self::Name | Self::Region | Self::Address | Self::Word(_) | Self::Level => {
                Raw::Text(text.to_owned())
            }
        }
    }

    /// Whether a value is one that the key takes.
    pub(super) fn takes(self, raw: &Raw) -> bool {
        match (self, raw) {
            (Self::Name, Raw::Text(text)) => is_name(text),
            (Self::Region, Raw::Text(text)) => text.parse::<Region>().is_ok(),
            (Self::Address, Raw::Text(text)) => text.parse::<SocketAddr>().is_ok(),
            (Self::Addresses, Raw::List(list)) => list.iter().all(|entry| is_host_port(entry)),
            (Self::Names, Raw::List(list)) => list.iter().all(|entry| is_name(entry)),
            (Self::Word(words), Raw::Text(text)) => words.contains(&text.as_str()),
            (Self::Level, Raw::Text(text)) => {
                !text.is_empty() && text.parse::<tracing_subscriber::EnvFilter>().is_ok()
            }
            (Self::Whole(min, max), Raw::Whole(number)) => {
                u64::try_from(*number).is_ok_and(|number| (min..=max).contains(&number))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("1 to 63 letters, digits, '-', '_' and '.'"),
            Self::Region => f.write_str("1 to 16 upper-case letters, digits and '-'"),
            Self::Address => {
                f.write_str("an IP address with a port, such as \"0.0.0.0:7400\" or \"[::]:7400\"")
            }
            Self::Addresses => f.write_str("a list such as [\"node.example:7400\"]"),
            Self::Names => f.write_str("a list of node names such as [\"amer-1\"]"),
            Self::Level => f.write_str("error, warn, info, debug, trace, or log directives"),
            Self::Word(words) => f.write_str(&words.join(" or ")),
            Self::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
        }
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=63).contains(&text.len()) && text.chars().all(allowed)
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && text.len() <= 255 && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}
