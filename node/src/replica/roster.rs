//! The roster: who belongs to the network. A hash-chained list signed by the network key.
//!
//! The first entry founds the network; every later one admits a member (again, when its addresses
//! change), revokes one, or brings a policy. The height of the list is the *epoch* that every commit names. The roster
//! travels before any data.

mod policy;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crdt_model::id::{Region, parse_hex};
use serde::{Deserialize, Serialize};

pub use self::policy::PolicyEntry;
use super::codec::{CodecError, Reader, Writer};
use super::commit::{Hash, Head};
use super::event::Members;
use super::limits::{
    FOLLOWS_MAX, MEMBERS_MAX, ROSTER_BYTES_MAX, ROSTER_ENTRIES_MAX, ROSTER_FRAME_BYTES,
};
use super::node_id::NodeId;

/// The identity of a network: the public part of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(NodeId);

impl NetworkId {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkId({})", self.0)
    }
}

/// A member of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its key.
    pub node: NodeId,
    /// What people call it, for example `emea-1`: 1 to 63 letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Its region.
    pub region: Region,
    /// Where it can be reached, `host:port`, in the order to try. None: it only calls others.
    pub addresses: Vec<String>,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The network starts.
    Found {
        /// Its name, for people.
        name: String,
        /// Its key.
        network: NodeId,
    },
    /// A member is admitted, or its name, region or addresses change.
    Admit(Member),
    /// A member loses its rights. What it wrote after these heads is not accepted any more.
    Revoke {
        /// Who.
        node: NodeId,
        /// The last accepted commit of each of its logs.
        last: Vec<Head>,
    },
    /// A policy follows the one before it.
    Policy(Arc<PolicyEntry>),
}

/// Why a roster was not taken. The roster in use stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The bytes are not a roster.
    #[error("this is not a roster: {0}")]
    Malformed(#[from] CodecError),
    /// An entry is not signed by the network key, or does not follow the one before it.
    #[error(
        "roster entry {height} is not signed by the network's key or does not follow the one before it; fetch the roster again from the operator of the network"
    )]
    Chain {
        /// Which.
        height: u64,
    },
    /// The roster is of another network.
    #[error("the roster belongs to another network ({theirs}), this node is in {ours}")]
    OtherNetwork {
        /// The network of this node.
        ours: String,
        /// The network of the roster brought.
        theirs: String,
    },
    /// The network key signed two different entries at one height.
    #[error(
        "the network has two rosters that differ from entry {height} on; one operator must reissue its entries on top of the other's roster"
    )]
    Forked {
        /// The first entry that differs.
        height: u64,
    },
    /// Two members of one name, too many members, or an address without a port.
    #[error("{0}")]
    Invalid(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SignedEntry {
    bytes: Vec<u8>,
    signature: [u8; 64],
    entry: Entry,
}

/// The roster, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    entries: Vec<SignedEntry>,
    network: NetworkId,
    name: String,
    /// The policies among the entries, with the height from which on commits may name each.
    policies: Vec<(u64, Arc<PolicyEntry>)>,
    /// The members now: where the entry stands that says what is true of each.
    members: BTreeMap<NodeId, usize>,
    /// The bytes of the entries as they travel, without their count.
    bytes: usize,
}

/// Signs with the network key.
pub trait Signer {
    /// The public part of the key.
    fn key(&self) -> NodeId;
    /// The Ed25519 signature of a message.
    fn signature(&self, message: &[u8]) -> [u8; 64];
}

impl Roster {
    /// Starts a network whose id is the signer's key.
    ///
    /// # Errors
    /// [`RosterError::Invalid`] when the name is not one.
    pub fn found(name: &str, signer: &dyn Signer) -> Result<Self, RosterError> {
        check_name(name)?;
        let network = signer.key();
        let mut roster = Self::without_entries(network, name.to_owned());
        roster.append(Entry::Found { name: name.to_owned(), network }, signer)?;
        Ok(roster)
    }

    const fn without_entries(network: NodeId, name: String) -> Self {
        Self {
            entries: Vec::new(),
            network: NetworkId(network),
            name,
            policies: Vec::new(),
            members: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// The network's id.
    #[must_use]
    pub const fn network_id(&self) -> NetworkId {
        self.network
    }

    /// The network's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many entries there are: the epoch.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The hash of the newest entry, which commits to the whole list.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.entries.last().map_or([0; 32], SignedEntry::hash)
    }

    /// Admits a member, or changes its name, region or addresses.
    ///
    /// # Errors
    /// [`RosterError::Invalid`] when the name is taken or malformed or an address has no port.
    pub fn admit(&mut self, member: Member, signer: &dyn Signer) -> Result<(), RosterError> {
        self.check_member(&member)?;
        self.append(Entry::Admit(member), signer)
    }

    /// Takes a member's rights away, beyond the commits named.
    ///
    /// # Errors
    /// [`RosterError::Invalid`] when it is not a member.
    pub fn revoke(
        &mut self,
        node: NodeId,
        mut last: Vec<Head>,
        signer: &dyn Signer,
    ) -> Result<(), RosterError> {
        if !self.is_member(&node) {
            return Err(RosterError::Invalid(format!("{node} is not a member of the network")));
        }
        last.sort();
        self.append(Entry::Revoke { node, last }, signer)
    }

    /// The members now, by key.
    #[must_use]
    pub fn members(&self) -> BTreeMap<NodeId, &Member> {
        self.members.values().filter_map(|at| self.admitted(*at)).collect()
    }

    /// The member with this key now.
    #[must_use]
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.admitted(*self.members.get(node)?).map(|(_, member)| member)
    }

    fn admitted(&self, at: usize) -> Option<(NodeId, &Member)> {
        match &self.entries.get(at)?.entry {
            Entry::Admit(member) => Some((member.node, member)),
            Entry::Found { .. } | Entry::Revoke { .. } | Entry::Policy(_) => None,
        }
    }

    /// Everybody who ever was a member, by key, as the newest entry about each says.
    #[must_use]
    pub fn members_ever(&self) -> BTreeMap<NodeId, &Member> {
        (0..self.entries.len()).filter_map(|at| self.admitted(at)).collect()
    }

    /// Every admission, in the order of the list, with those that were revoked or moved since.
    pub fn admissions(&self) -> impl Iterator<Item = (&NodeId, &Region)> {
        self.entries.iter().filter_map(|signed| match &signed.entry {
            Entry::Admit(member) => Some((&member.node, &member.region)),
            Entry::Found { .. } | Entry::Revoke { .. } | Entry::Policy(_) => None,
        })
    }

    /// The teller of a region: of its members, the one that has been there longest. Only through it
    /// the region draws on its slices of a credit limit and gives them away.
    #[must_use]
    pub fn teller(&self, region: &Region) -> Option<NodeId> {
        let mut there: Vec<NodeId> = Vec::new();
        for signed in &self.entries {
            match &signed.entry {
                Entry::Admit(member) if member.region == *region => {
                    if !there.contains(&member.node) {
                        there.push(member.node);
                    }
                }
                Entry::Admit(Member { node, .. }) | Entry::Revoke { node, .. } => {
                    there.retain(|other| other != node);
                }
                Entry::Found { .. } | Entry::Policy(_) => {}
            }
        }
        there.first().copied()
    }

    /// The member with this key at an epoch.
    #[must_use]
    pub fn member_at(&self, node: &NodeId, epoch: u64) -> Option<&Member> {
        let upto = usize::try_from(epoch).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries[..upto].iter().rev().find_map(|signed| match &signed.entry {
            Entry::Admit(member) if member.node == *node => Some(Some(member)),
            Entry::Revoke { node: revoked, .. } if revoked == node => Some(None),
            Entry::Admit(_) | Entry::Revoke { .. } | Entry::Found { .. } | Entry::Policy(_) => None,
        })?
    }

    /// Whether the key is a member's now.
    #[must_use]
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.members.contains_key(node)
    }

    /// The keys of the members now.
    #[must_use]
    pub fn keys(&self) -> Members {
        self.members.keys().copied().collect()
    }

    /// The last accepted number of a log of `node`, when a revocation cut it; none: not cut. A log
    /// that the revocation does not name is cut at 0.
    #[must_use]
    pub fn cut(&self, node: &NodeId, log: &crdt_model::id::LogId, epoch: u64) -> Option<u64> {
        // A revocation cuts what was written under an earlier epoch; a later admission gives new
        // rights to commits that name it.
        let from = usize::try_from(epoch).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries[from..].iter().find_map(|signed| match &signed.entry {
            Entry::Revoke { node: revoked, last } if revoked == node => {
                Some(last.iter().find(|head| head.log == *log).map_or(0, |head| head.seq))
            }
            Entry::Revoke { .. } | Entry::Admit(_) | Entry::Found { .. } | Entry::Policy(_) => None,
        })
    }

    /// The members revoked by entries from a height on, each with its last accepted commits.
    pub fn revocations_since(&self, height: u64) -> impl Iterator<Item = (NodeId, &[Head])> {
        let from = usize::try_from(height).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries[from..].iter().filter_map(|signed| match &signed.entry {
            Entry::Revoke { node, last } => Some((*node, last.as_slice())),
            Entry::Admit(_) | Entry::Found { .. } | Entry::Policy(_) => None,
        })
    }

    /// The entries from a height on, in parts that fit a frame each, with the height at which each
    /// part begins.
    #[must_use]
    pub fn parts_from(&self, height: u64) -> Vec<(u64, Vec<u8>)> {
        let from = usize::try_from(height).unwrap_or(usize::MAX).min(self.entries.len());
        // Room for the number of entries, and for the length of each.
        let size = |signed: &SignedEntry| signed.bytes.len() + signed.signature.len() + 8;
        let mut parts: Vec<(u64, &[SignedEntry])> = Vec::new();
        let (mut start, mut bytes) = (from, 8);
        for (at, signed) in self.entries.iter().enumerate().skip(from) {
            if bytes + size(signed) > ROSTER_FRAME_BYTES && at > start {
                parts.push((start as u64, &self.entries[start..at]));
                (start, bytes) = (at, 8);
            }
            bytes += size(signed);
        }
        parts.push((start as u64, &self.entries[start..]));
        parts.into_iter().map(|(at, part)| (at, encode_entries(part))).collect()
    }

    /// The whole roster, as files and operators carry it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode_entries(&self.entries)
    }

    /// The roster as it was when it had so many entries.
    #[cfg(test)]
    pub(crate) fn cut_at(&self, height: u64) -> Vec<u8> {
        let upto = usize::try_from(height).unwrap_or(usize::MAX).min(self.entries.len());
        encode_entries(&self.entries[..upto])
    }

    /// Reads and checks a whole roster.
    ///
    /// # Errors
    /// [`RosterError`] when it is malformed or its chain or a signature does not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, RosterError> {
        let entries = decode_entries(bytes)?;
        let Some(Entry::Found { name, network }) = entries.first().map(|first| first.entry.clone())
        else {
            return Err(RosterError::Chain { height: 0 });
        };
        let mut roster = Self::without_entries(network, name);
        for signed in entries {
            roster.push(signed)?;
        }
        Ok(roster)
    }

    /// Takes the entries of another copy that this one lacks. Gives whether there were any.
    ///
    /// `bytes` holds entries from `from` on.
    ///
    /// # Errors
    /// [`RosterError`]; nothing was taken.
    pub fn extend(&mut self, from: u64, bytes: &[u8]) -> Result<bool, RosterError> {
        let mut longer = self.clone();
        let before = longer.height();
        if from > before {
            return Err(RosterError::Chain { height: from });
        }
        for (height, signed) in (from..).zip(decode_entries(bytes)?) {
            let known = usize::try_from(height).ok().and_then(|at| longer.entries.get(at));
            match known {
                Some(ours) if ours.bytes == signed.bytes => {}
                Some(_) if height == 0 => {
                    let theirs = match signed.entry {
                        Entry::Found { network, .. } => network.to_string(),
                        Entry::Admit(_) | Entry::Revoke { .. } | Entry::Policy(_) => {
                            "unknown".to_owned()
                        }
                    };
                    let ours = self.network.to_string();
                    return Err(RosterError::OtherNetwork { ours, theirs });
                }
                Some(_) => return Err(RosterError::Forked { height }),
                None if height == before && from == before => {
                    let authentic = signed.is_signed_by(&self.network);
                    longer.push(signed).map_err(|error| match error {
                        // It follows another entry than our newest one, and the network key says so.
                        RosterError::Chain { height } if authentic => {
                            RosterError::Forked { height: height.saturating_sub(1) }
                        }
                        RosterError::Chain { .. }
                        | RosterError::Malformed(_)
                        | RosterError::OtherNetwork { .. }
                        | RosterError::Forked { .. }
                        | RosterError::Invalid(_) => error,
                    })?;
                }
                None if height == longer.height() => longer.push(signed)?,
                None => return Err(RosterError::Chain { height }),
            }
        }
        let grew = longer.height() > before;
        *self = longer;
        Ok(grew)
    }

    fn append(&mut self, entry: Entry, signer: &dyn Signer) -> Result<(), RosterError> {
        if signer.key() != self.network.0 {
            return Err(RosterError::Invalid(
                "this key is not the key of the network; use the directory in which the network was created"
                    .to_owned(),
            ));
        }
        let bytes = encode_entry(self.height(), &self.digest(), &entry);
        let signature = signer.signature(&entry_message(&bytes));
        self.push(SignedEntry { bytes, signature, entry })
    }

    fn push(&mut self, signed: SignedEntry) -> Result<(), RosterError> {
        let height = self.height();
        let chained = signed.bytes == encode_entry(height, &self.digest(), &signed.entry);
        let founding = matches!(signed.entry, Entry::Found { .. }) == (height == 0);
        let authentic = signed.is_signed_by(&self.network);
        if !(chained && founding && authentic) {
            return Err(RosterError::Chain { height });
        }
        let bytes = self.check_room(&signed)?;
        match &signed.entry {
            Entry::Found { .. } => {}
            Entry::Admit(member) => {
                self.check_member(member)?;
                self.members.insert(member.node, self.entries.len());
            }
            Entry::Revoke { node, .. } => {
                self.members.remove(node);
            }
            Entry::Policy(policy) => self.take_policy(height + 1, policy)?,
        }
        self.bytes = bytes;
        self.entries.push(signed);
        Ok(())
    }

    /// Whether the roster can still be read once it has this entry. Gives its bytes then.
    fn check_room(&self, signed: &SignedEntry) -> Result<usize, RosterError> {
        if let Entry::Revoke { last, .. } = &signed.entry
            && last.len() > FOLLOWS_MAX
        {
            return Err(RosterError::Invalid(format!(
                "a revocation names at most {FOLLOWS_MAX} logs, not {}",
                last.len()
            )));
        }
        let mut out = Writer::new();
        out.bytes(&signed.bytes).raw(&signed.signature);
        let bytes = self.bytes + out.into_bytes().len();
        if self.entries.len() >= ROSTER_ENTRIES_MAX || bytes + COUNT_BYTES_MAX > ROSTER_BYTES_MAX {
            return Err(RosterError::Invalid(format!(
                "the roster is full: it has at most {ROSTER_ENTRIES_MAX} entries and {ROSTER_BYTES_MAX} bytes; found a new network for what is to come"
            )));
        }
        Ok(bytes)
    }

    fn check_member(&self, member: &Member) -> Result<(), RosterError> {
        check_name(&member.name)?;
        let members = self.members();
        if members.len() >= MEMBERS_MAX && !members.contains_key(&member.node) {
            return Err(RosterError::Invalid(format!(
                "a network has at most {MEMBERS_MAX} members"
            )));
        }
        let taken =
            members.values().any(|other| other.name == member.name && other.node != member.node);
        if taken {
            return Err(RosterError::Invalid(format!(
                "the name {} is taken by another member; choose another or revoke that one first",
                member.name
            )));
        }
        let with_port = |address: &String| {
            address.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok() && address.len() <= 255
            })
        };
        if member.addresses.len() > ADDRESSES_MAX {
            return Err(RosterError::Invalid(format!(
                "a member has at most {ADDRESSES_MAX} addresses"
            )));
        }
        match member.addresses.iter().find(|address| !with_port(address)) {
            Some(address) => {
                Err(RosterError::Invalid(format!("{address:?} is not an address; write host:port")))
            }
            None => Ok(()),
        }
    }
}

impl SignedEntry {
    fn is_signed_by(&self, network: &NetworkId) -> bool {
        network.0.verify(&entry_message(&self.bytes), &self.signature)
    }

    fn hash(&self) -> Hash {
        *blake3::hash(&self.bytes).as_bytes()
    }
}

fn check_name(name: &str) -> Result<(), RosterError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(allowed) {
        return Err(RosterError::Invalid(format!(
            "{name:?} is not a name; use 1 to 63 letters, digits, '-', '_' and '.'"
        )));
    }
    Ok(())
}

fn entry_message(bytes: &[u8]) -> Vec<u8> {
    [b"concord roster v1".as_slice(), bytes].concat()
}

/// The most addresses of a member.
const ADDRESSES_MAX: usize = 16;
/// The most bytes that the count of the entries takes.
const COUNT_BYTES_MAX: usize = 3;

const FOUND: u8 = 0;
const ADMIT: u8 = 1;
const REVOKE: u8 = 2;
const POLICY: u8 = 3;

fn encode_entry(height: u64, previous: &Hash, entry: &Entry) -> Vec<u8> {
    let mut out = Writer::new();
    out.number(height).raw(previous);
    match entry {
        Entry::Found { name, network } => {
            out.byte(FOUND).bytes(name.as_bytes()).raw(network.as_bytes());
        }
        Entry::Admit(member) => {
            out.byte(ADMIT).raw(member.node.as_bytes()).bytes(member.name.as_bytes());
            out.bytes(member.region.as_str().as_bytes()).length(member.addresses.len());
            member.addresses.iter().for_each(|address| {
                out.bytes(address.as_bytes());
            });
        }
        Entry::Revoke { node, last } => {
            out.byte(REVOKE).raw(node.as_bytes()).length(last.len());
            last.iter().for_each(|head| {
                out.raw(head.log.as_bytes()).number(head.seq).raw(&head.hash);
            });
        }
        Entry::Policy(policy) => {
            out.byte(POLICY);
            policy.write(&mut out);
        }
    }
    out.into_bytes()
}

fn decode_entry(bytes: &[u8]) -> Result<Entry, CodecError> {
    let mut reader = Reader::new(bytes);
    reader.number()?;
    reader.array::<32>()?;
    let kind = reader.byte()?;
    let entry = match kind {
        FOUND => {
            let name = reader.text(63)?.to_owned();
            Entry::Found { name, network: NodeId::from_bytes(reader.array()?) }
        }
        ADMIT => {
            let node = NodeId::from_bytes(reader.array()?);
            let name = reader.text(63)?.to_owned();
            let region = reader.text(16)?.parse().map_err(|_| CodecError::Text)?;
            let addresses = (0..reader.length(ADDRESSES_MAX)?)
                .map(|_| reader.text(255).map(str::to_owned))
                .collect::<Result<_, _>>()?;
            Entry::Admit(Member { node, name, region, addresses })
        }
        REVOKE => {
            let node = NodeId::from_bytes(reader.array()?);
            let last = (0..reader.length(FOLLOWS_MAX)?)
                .map(|_| {
                    let log = crdt_model::id::LogId::from_bytes(reader.array()?);
                    Ok(Head { log, seq: reader.number()?, hash: reader.array()? })
                })
                .collect::<Result<_, CodecError>>()?;
            Entry::Revoke { node, last }
        }
        POLICY => Entry::Policy(Arc::new(PolicyEntry::read(&mut reader)?)),
        _ => return Err(CodecError::Unknown),
    };
    reader.finish()?;
    Ok(entry)
}

fn encode_entries(entries: &[SignedEntry]) -> Vec<u8> {
    let mut out = Writer::new();
    out.length(entries.len());
    for signed in entries {
        out.bytes(&signed.bytes).raw(&signed.signature);
    }
    out.into_bytes()
}

fn decode_entries(bytes: &[u8]) -> Result<Vec<SignedEntry>, CodecError> {
    if bytes.len() > ROSTER_BYTES_MAX {
        return Err(CodecError::TooLong);
    }
    let mut reader = Reader::new(bytes);
    let entries = (0..reader.length(ROSTER_ENTRIES_MAX)?)
        .map(|_| {
            let bytes = reader.bytes(ROSTER_BYTES_MAX)?.to_vec();
            let signature = reader.array()?;
            let entry = decode_entry(&bytes)?;
            Ok(SignedEntry { bytes, signature, entry })
        })
        .collect::<Result<_, CodecError>>()?;
    reader.finish()?;
    Ok(entries)
}

/// Reads a network id from 64 hexadecimal digits.
#[must_use]
pub fn parse_network_id(text: &str) -> Option<NetworkId> {
    parse_hex(text).map(|bytes| NetworkId(NodeId::from_bytes(bytes)))
}
