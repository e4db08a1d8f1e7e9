//! Policies in the roster's list: signed by governors of the policy before, put in order by the
//! network key, in force from a stated time on.
//!
//! The order comes from one key, so two policies never stand at one height; the right comes from the
//! governors, so that key alone cannot change a policy that names them. What a governor signs names
//! the policy before by digest, not the height of the list: an admission in between spoils nothing.

use std::sync::Arc;

use crdt_model::policy::Policy;
use crdt_model::value::canonical_json;

use super::super::codec::{CodecError, Reader, Writer};
use super::super::limits::{POLICY_BYTES_MAX, POLICY_SIGNATURES_MAX};
use super::super::node_id::NodeId;
use super::{Entry, Roster, RosterError, Signer};

/// A policy as governors sign it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyEntry {
    /// The policy.
    pub policy: Arc<Policy>,
    /// From when on it is in force, in milliseconds since 1970.
    pub activates_at_ms: u64,
    /// The governors who signed, by key, each once and in the order of the keys.
    signatures: Vec<(NodeId, [u8; 64])>,
}

impl PolicyEntry {
    /// A policy that nobody has signed yet.
    #[must_use]
    pub fn new(policy: Policy, activates_at_ms: u64) -> Self {
        Self { policy: Arc::new(policy), activates_at_ms, signatures: Vec::new() }
    }

    /// Adds the signature of a governor, over the policy as the successor of the newest one of the
    /// roster. Signing twice is signing once.
    pub fn sign(&mut self, roster: &Roster, governor: &dyn Signer) {
        let message = self.message(roster);
        let key = governor.key();
        self.signatures.retain(|(signed, _)| *signed != key);
        self.signatures.push((key, governor.signature(&message)));
        self.signatures.sort();
    }

    /// The keys of those who signed.
    pub fn signers(&self) -> impl Iterator<Item = NodeId> {
        self.signatures.iter().map(|(key, _)| *key)
    }

    /// What a governor signs.
    fn message(&self, roster: &Roster) -> Vec<u8> {
        let before = roster.policies.last().map_or([0; 32], |(_, entry)| entry.policy.digest());
        let mut message = b"concord policy v1".to_vec();
        message.extend(roster.network.as_bytes());
        message.extend(before);
        message.extend(self.policy.digest());
        message.extend(self.activates_at_ms.to_be_bytes());
        message
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.bytes(canonical_json(&*self.policy).as_bytes()).fixed64(self.activates_at_ms);
        out.length(self.signatures.len());
        self.signatures.iter().for_each(|(key, signature)| {
            out.raw(key.as_bytes()).raw(signature);
        });
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let json = reader.text(POLICY_BYTES_MAX)?;
        let policy: Policy = serde_json::from_str(json).map_err(|_| CodecError::Unknown)?;
        // One policy, one text: what is signed is what is read.
        if canonical_json(&policy) != json {
            return Err(CodecError::Order);
        }
        let activates_at_ms = reader.fixed64()?;
        let signatures = (0..reader.length(POLICY_SIGNATURES_MAX)?)
            .map(|_| Ok((NodeId::from_bytes(reader.array()?), reader.array()?)))
            .collect::<Result<Vec<_>, CodecError>>()?;
        if !signatures.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(CodecError::Order);
        }
        Ok(Self { policy: Arc::new(policy), activates_at_ms, signatures })
    }

    /// The bytes, as files carry it from governor to governor.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.write(&mut out);
        out.into_bytes()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let entry = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(entry)
    }

    /// Judges the entry as the successor of the newest policy of a roster.
    fn check(&self, roster: &Roster) -> Result<(), RosterError> {
        let (before, begun_ms) = roster.newest_policy();
        let invalid = |text: String| Err(RosterError::Invalid(text));
        let version = self.policy.version;
        if version != before.version + 1 {
            return invalid(format!(
                "the policy has version {version}, the one before it {}; give it version {}",
                before.version,
                before.version + 1
            ));
        }
        if self.activates_at_ms <= begun_ms {
            return invalid(
                "the policy would be in force before the one that it follows; choose a later time"
                    .to_owned(),
            );
        }
        if let Err(fault) = self.policy.lint() {
            return invalid(format!("the policy cannot be put in force: {fault}"));
        }
        let message = self.message(roster);
        let Some(governors) = &before.governors else { return Ok(()) };
        let signed = self.signatures.iter().filter(|(key, signature)| {
            let named = key.to_string();
            governors.keys.values().any(|governor| *governor == named)
                && key.verify(&message, signature)
        });
        let (signed, needed) = (signed.count(), usize::from(governors.needed));
        if signed < needed {
            return invalid(format!(
                "the policy has {signed} valid signatures of governors and needs {needed}; have \
                 more governors sign it (concord policy sign)"
            ));
        }
        Ok(())
    }
}

impl Roster {
    /// Every policy of the list with the height from which on commits may name it, the oldest first.
    pub fn policies(&self) -> impl Iterator<Item = (u64, &PolicyEntry)> {
        self.policies.iter().map(|(height, entry)| (*height, &**entry))
    }

    /// The policy at an epoch and time: the newest at or below the epoch that was in force then;
    /// `None` before the first.
    #[must_use]
    pub fn policy_at(&self, epoch: u64, time_ms: u64) -> Option<&Arc<Policy>> {
        let mut in_force = self
            .policies
            .iter()
            .rev()
            .filter(|(height, entry)| *height <= epoch && entry.activates_at_ms <= time_ms);
        in_force.next().map(|(_, entry)| &entry.policy)
    }

    /// The newest policy, in force or not, and from when on it is; the built-in one since ever.
    #[must_use]
    pub fn newest_policy(&self) -> (Arc<Policy>, u64) {
        match self.policies.last() {
            Some((_, entry)) => (Arc::clone(&entry.policy), entry.activates_at_ms),
            None => (Arc::new(Policy::built_in()), 0),
        }
    }

    /// When the next policy that waits comes into force.
    #[must_use]
    pub fn next_activation_ms(&self, now_ms: u64) -> Option<u64> {
        let waiting = self.policies.iter().map(|(_, entry)| entry.activates_at_ms);
        waiting.filter(|at| *at > now_ms).min()
    }

    /// Appends a policy that enough governors have signed.
    ///
    /// # Errors
    /// [`RosterError::Invalid`] with the sentence why; the roster is as it was.
    pub fn put_policy(
        &mut self,
        entry: PolicyEntry,
        signer: &dyn Signer,
    ) -> Result<(), RosterError> {
        self.append(Entry::Policy(Arc::new(entry)), signer)
    }

    /// Takes note of a policy from a height on, if it may follow the newest one.
    pub(super) fn take_policy(
        &mut self,
        height: u64,
        entry: &Arc<PolicyEntry>,
    ) -> Result<(), RosterError> {
        entry.check(self)?;
        self.policies.push((height, Arc::clone(entry)));
        Ok(())
    }
}
