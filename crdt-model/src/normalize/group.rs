//! Groups: members that survive together, those that the path already says, and amounts.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::suggest::did_you_mean;
use super::{Item, key, money, scalar};
use crate::attribute::{Fault, Flaw, KeyType, Member, ValueType, quote};
use crate::limits::FAULTS_MAX;
use crate::value::{Scalar, Value};

impl Item<'_> {
    /// The members of a group from an object or from a shorthand.
    pub(super) fn group(&self, known: &[Member], body: &Json) -> Result<Value, Vec<Fault>> {
        match body {
            Json::Object(object) => self.members(known, object),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                self.members(known, &self.shorthand(known, body)?)
            }
        }
    }

    /// `true` or the key again for an item whose path says all; else the one required member.
    fn shorthand(&self, known: &[Member], body: &Json) -> Result<Map<String, Json>, Vec<Fault>> {
        let from_key = self.said_by_key();
        if !from_key.is_empty() {
            let kind = self.attribute.keys.last();
            let repeats = match (body, kind) {
                (Json::Bool(said), _) => *said,
                (Json::String(text), Some(kind)) => {
                    let again = key::canonical(*kind, text, self.context);
                    Some(again.map_err(|flaw| vec![flaw.at(self.written)])?) == self.key()
                }
                _ => false,
            };
            let text = "The value says something else than the path. Give one of them alone.";
            return if repeats { Ok(Map::new()) } else { Err(self.faults("item-mismatch", text)) };
        }
        // A lone text for an address or a person would be a guess, so the first member counts alone.
        let [first, rest @ ..] = known else { return Err(self.not_members(known)) };
        let is_lone = first.required && !rest.iter().any(|member| member.required);
        if !is_lone || body.is_array() {
            return Err(self.not_members(known));
        }
        Ok(Map::from_iter([(first.name.to_owned(), body.clone())]))
    }

    fn not_members(&self, known: &[Member]) -> Vec<Fault> {
        let names: Vec<&str> = known.iter().map(|member| member.name).collect();
        let text = format!("This takes an object with members among {}.", names.join(", "));
        self.faults("wrong-type", text)
    }

    /// The members that the key says.
    fn said_by_key(&self) -> Vec<(&'static str, String)> {
        match (self.attribute.is_item(), self.attribute.keys.last(), self.key()) {
            (true, Some(kind), Some(key)) => kind.members(&key),
            _ => Vec::new(),
        }
    }

    fn members(&self, known: &[Member], object: &Map<String, Json>) -> Result<Value, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut members = BTreeMap::new();
        let from_key = self.said_by_key();
        for (name, input) in object.iter().filter(|(_, input)| !input.is_null()) {
            let Some(member) = known.iter().find(|member| member.name == name) else {
                let hint = did_you_mean(name, known.iter().map(|member| member.name));
                let text = format!("There is no member {} here.{hint}", quote(name));
                faults.push(Flaw::new("member-unknown", text).at_member(self.written, name));
                continue;
            };
            let scalar = match from_key.iter().find(|(of_key, _)| of_key == name) {
                Some((_, part)) => self.member_of_key(member, input, part),
                None => self.member(member, input, object),
            };
            match scalar {
                Ok(scalar) => drop(members.insert(name.clone(), scalar)),
                Err(flaw) => faults.push(flaw.at_member(self.written, name)),
            }
        }
        for (name, part) in from_key {
            let part = if name == "address" { self.address_as_written(part) } else { part };
            members.entry(name.to_owned()).or_insert(Scalar::Text(part));
        }
        self.missing(known, object, &members, &mut faults);
        faults.truncate(FAULTS_MAX);
        if faults.is_empty() { Ok(Value::Group(members)) } else { Err(faults) }
    }

    fn missing(
        &self,
        known: &[Member],
        object: &Map<String, Json>,
        members: &BTreeMap<String, Scalar>,
        faults: &mut Vec<Fault>,
    ) {
        let is_stated = |name: &str| {
            members.contains_key(name) || object.get(name).is_some_and(|input| !input.is_null())
        };
        for member in known.iter().filter(|m| m.required && !is_stated(m.name)) {
            let text = format!("{} is missing. State it together with the rest.", member.name);
            let flaw = Flaw::new("member-missing", text);
            faults.push(flaw.at_member(self.written, member.name));
        }
    }

    fn member(
        &self,
        member: &Member,
        input: &Json,
        object: &Map<String, Json>,
    ) -> Result<Scalar, Flaw> {
        match (member.value, input) {
            (ValueType::Money(_), Json::String(amount)) => {
                let currency = object.get("currency").and_then(Json::as_str).ok_or_else(|| {
                    Flaw::new("member-missing", "An amount needs its currency beside it.")
                })?;
                let minor = money::parse_money(amount, currency).map_err(|error| error.flaw())?;
                Ok(Scalar::Int(minor))
            }
            (kind, input) => Ok(scalar::scalar(&kind, input, self.context)?.scalar),
        }
    }

    /// A member that the path says as well: the same in any spelling, and the spelling of the path.
    fn member_of_key(&self, member: &Member, input: &Json, part: &str) -> Result<Scalar, Flaw> {
        let kind = self.attribute.keys.last().copied().unwrap_or(KeyType::Id);
        let stated = scalar::scalar(&member.value, input, self.context);
        if let Ok(scalar::Normal { scalar: Scalar::Text(text), .. }) = stated
            && kind.agrees(&text, part)
        {
            return Ok(Scalar::Text(text));
        }
        let stated = folded(input.as_str().unwrap_or_default());
        // A VAT number is often stated without the country in front.
        let is_tail = kind == KeyType::TaxId && stated.len() > 5 && folded(part).ends_with(&stated);
        if stated == folded(part) || is_tail {
            return Ok(Scalar::Text(part.to_owned()));
        }
        let text = format!("The path says {}, the value something else.", quote(part));
        Err(Flaw::new("item-mismatch", text))
    }

    /// The e-mail address with the case that the path was written in.
    fn address_as_written(&self, folded: String) -> String {
        let written = self.written.segments().pop().unwrap_or_default();
        match scalar::email(written.trim()) {
            Ok(address) if address.eq_ignore_ascii_case(&folded) => address,
            Ok(_) | Err(_) => folded,
        }
    }
}

/// Letters and digits alone, in upper case.
fn folded(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}
