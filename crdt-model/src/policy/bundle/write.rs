//! A policy as TOML that reads back to the same policy, with a word on every part.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;

use super::{Check, FourEyes, Governors, NumberRange, Policy, Principal};
use crate::policy::Rule;

/// The policy as TOML.
///
/// It names every rule, so that the text says the same under a release whose built-in rules differ.
#[must_use]
pub fn write(policy: &Policy) -> String {
    // Every field by name, so that a new one cannot be forgotten.
    let Policy {
        version,
        source_kinds,
        rules,
        owners,
        follows,
        four_eyes,
        non_owner,
        checks,
        codes,
        numbers,
        principals,
        governors,
    } = policy;
    let mut page = Page::default();
    page.say("A policy of Concord. docs/policy.md tells what every key means.");
    page.set("version", version);
    let built_in = Policy::built_in();
    if built_in.rules.keys().any(|pattern| !rules.contains_key(pattern)) {
        page.say("Nothing is taken from the built-in policy.");
        page.set("base", quote("none"));
    }
    page.say("Kinds of sources, the best first.");
    page.set("source_kinds", list(source_kinds));
    page.say("What becomes of a write on an attribute that another region owns: claim or propose.");
    page.set("non_owner", word(non_owner));
    write_rules(&mut page, rules, &built_in.rules);
    let say = "The region that owns a part of the record. The longest entry counts.";
    page.table("owners", say, owners, |region| quote(region.as_str()));
    let say = "For the rule follow: the attribute whose winning source is followed.";
    page.table("follows", say, follows, |pattern| quote(pattern));
    page.tables("four_eyes", "Changes that need a second person.", four_eyes, write_four_eyes);
    page.tables("checks", "Checks of the golden record, in CEL.", checks, write_check);
    page.table("codes", "The code list of an attribute.", codes, |name| quote(name));
    let say = "The customer numbers that each region gives out.";
    page.tables("numbers", say, numbers, write_range);
    page.tables("principals", "Who may do what.", principals, write_principal);
    if let Some(governors) = governors {
        write_governors(&mut page, governors);
    }
    page.text
}

fn write_rules(page: &mut Page, rules: &BTreeMap<String, Rule>, built_in: &BTreeMap<String, Rule>) {
    page.head("rules", "The rule that decides each attribute.");
    for (pattern, rule) in rules {
        let note = match built_in.get(pattern) {
            Some(usual) if usual != rule => format!(" # built-in: {}", plain_word(usual)),
            Some(_) | None => String::new(),
        };
        page.set(&key(pattern), format!("{}{note}", word(rule)));
    }
}

fn write_four_eyes(page: &mut Page, four_eyes: &FourEyes) {
    let FourEyes { approvals, exempt, only_raise, at_creation } = four_eyes;
    page.set("approvals", approvals);
    page.set_list("exempt", exempt);
    if *only_raise {
        page.set("only_raise", only_raise);
    }
    if *at_creation {
        page.set("at_creation", at_creation);
    }
}

fn write_check(page: &mut Page, check: &Check) {
    let Check { applies, expression, text, severity } = check;
    page.set("applies", list(applies));
    page.set("expression", quote(expression));
    page.set("text", quote(text));
    page.set("severity", word(severity));
}

fn write_range(page: &mut Page, range: &NumberRange) {
    let NumberRange { prefix, from, to } = range;
    page.set("prefix", quote(prefix));
    page.set("from", from);
    page.set("to", to);
}

fn write_principal(page: &mut Page, principal: &Principal) {
    let Principal { roles, regions, company_codes, sources } = principal;
    let words: Vec<String> = roles.iter().map(word).collect();
    page.set("roles", format!("[{}]", words.join(", ")));
    page.set_list("regions", regions.iter().map(|region| region.as_str()));
    page.set_list("company_codes", company_codes);
    page.set_list("sources", sources.iter().map(|source| source.as_str()));
}

fn write_governors(page: &mut Page, governors: &Governors) {
    let Governors { needed, keys } = governors;
    page.head("governors", "Who signs the next policy, and how many of them must.");
    page.set("needed", needed);
    page.table("governors.keys", "", keys, |key| quote(key));
    if keys.is_empty() {
        page.head("governors.keys", "");
    }
}

/// The text as far as it is written.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn say(&mut self, words: &str) {
        if !words.is_empty() {
            self.text.push_str(&format!("# {words}\n"));
        }
    }

    fn set(&mut self, key: &str, value: impl Display) {
        self.text.push_str(&format!("{key} = {value}\n"));
    }

    /// A list that may be left out when it is empty.
    fn set_list<S: AsRef<str>>(&mut self, key: &str, texts: impl IntoIterator<Item = S>) {
        let mut texts = texts.into_iter().peekable();
        if texts.peek().is_some() {
            self.set(key, list(texts));
        }
    }

    fn head(&mut self, name: &str, say: &str) {
        self.text.push('\n');
        self.say(say);
        self.text.push_str(&format!("[{name}]\n"));
    }

    /// A table of plain values; nothing when it is empty.
    fn table<K: ToString, V>(
        &mut self,
        name: &str,
        say: &str,
        entries: &BTreeMap<K, V>,
        value: impl Fn(&V) -> String,
    ) {
        if entries.is_empty() {
            return;
        }
        self.head(name, say);
        for (entry, says) in entries {
            self.set(&key(&entry.to_string()), value(says));
        }
    }

    /// A table of tables; nothing when it is empty.
    fn tables<K: ToString, V>(
        &mut self,
        name: &str,
        say: &str,
        entries: &BTreeMap<K, V>,
        mut each: impl FnMut(&mut Self, &V),
    ) {
        for (place, (entry, says)) in entries.iter().enumerate() {
            let heading = format!("{name}.{}", key(&entry.to_string()));
            self.head(&heading, if place == 0 { say } else { "" });
            each(self, says);
        }
    }
}

/// A key, bare where TOML takes it bare.
pub(in crate::policy) fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { quote(name) }
}

/// A text as a TOML string of one line: JSON escapes are TOML escapes, but TOML escapes DEL as well.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn list<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| quote(text.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// The word of a unit variant, in quotation marks.
fn word(variant: &impl Serialize) -> String {
    quote(&plain_word(variant))
}

/// The word of a unit variant.
pub(in crate::policy) fn plain_word(variant: &impl Serialize) -> String {
    let json = serde_json::to_value(variant).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}
