//! Documents say what is so: paths and names that exist, tables that equal the code, a description
//! of the wire that was read again when the wire changed.
//!
//! `CONCORD_BLESS=1` writes the tables and the hash anew. Read the difference before you commit it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crdt_model::attribute::{self, Attribute, Class, ValueType};
use crdt_model::policy::Policy;
use node::replica::frame::{Digests, Frame, Hello, PROTOCOL_MAX, PROTOCOL_MIN};
use node::replica::limits;

use super::report;
use super::tree::{Source, root, sources};

/// The files that decide which bytes travel.
const WIRE: [&str; 10] = [
    "block",
    "block/columns",
    "block/columns/apart",
    "block/columns/together",
    "codec",
    "commit",
    "fork",
    "frame",
    "roster",
    "vector",
];

/// The spans of inline code of a document, with their lines; nothing of fenced blocks.
fn spans(source: &Source) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in source.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(|span| (number, span)));
        }
    }
    found
}

/// The targets of the links of a document that point into the repository.
fn links(source: &Source) -> Vec<(usize, &str)> {
    let targets = source.lines().flat_map(|(number, line)| {
        let rest = line.split("](").skip(1);
        rest.filter_map(move |rest| Some((number, rest.split_once(')')?.0)))
    });
    targets.filter(|(_, target)| !target.contains("://") && !target.starts_with('#')).collect()
}

/// Whether a span of code looks like a path of this repository.
fn is_path(span: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let ending = [".rs", ".md", ".toml", ".json", ".jsonl", ".csv", "/", ".ci/run"];
    span.trim_end_matches('/').contains('/')
        && !span.starts_with(['/', '.'])
        && span.chars().all(allowed)
        && ending.iter().any(|ending| span.ends_with(ending))
        || span.starts_with(".ci/")
}

/// Whether a path that a document names is there: from the root, from the folder of the document, or
/// from the sources of a crate.
fn exists(document: &str, path: &str) -> bool {
    let folder = Path::new(document).parent().unwrap_or_else(|| Path::new(""));
    let bases = [Path::new(""), folder, Path::new("node/src"), Path::new("crdt-model/src")];
    bases.iter().any(|base| root().join(base).join(path).exists())
}

#[test]
fn documents_name_only_paths_that_exist() {
    let mut faults = Vec::new();
    let all = sources();
    for source in all.iter().filter(|source| source.is_document()) {
        let paths = spans(source).into_iter().filter(|(_, span)| is_path(span));
        let links = links(source)
            .into_iter()
            .map(|(number, link)| (number, link.split_once('#').map_or(link, |(path, _)| path)));
        for (number, path) in paths.chain(links) {
            if !exists(&source.path, path) {
                faults.push(format!("{}:{number}: there is no {path}", source.path));
            }
        }
    }
    // Comments name documents, too.
    for source in all.iter().filter(|source| source.is_rust()) {
        for (number, line) in source.lines() {
            for rest in line.split("docs/").skip(1) {
                let end = rest.find(".md").map_or(0, |at| at + ".md".len());
                let name = &rest[..end];
                let is_name = |c: char| c.is_ascii_alphanumeric() || "-./".contains(c);
                if end > 0 && name.chars().all(is_name) && !exists("", &format!("docs/{name}")) {
                    faults.push(format!("{}:{number}: there is no docs/{name}", source.path));
                }
            }
        }
    }
    report(&faults);
}

/// The words of the code: every identifier.
fn identifiers(all: &[Source]) -> BTreeSet<&str> {
    let code = all.iter().filter(|source| source.is_rust()).filter_map(Source::text);
    code.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_')).collect()
}

/// The documents that lead through the code name only what is in it.
#[test]
fn documents_name_only_types_and_functions_that_exist() {
    let all = sources();
    let identifiers = identifiers(&all);
    let guides =
        ["ARCHITECTURE.md", "docs/replication.md", "docs/data-model.md", "docs/storage.md"];
    let mut faults = Vec::new();
    for source in all.iter().filter(|source| guides.contains(&source.path.as_str())) {
        for (number, span) in spans(source) {
            let name = span.trim_end_matches("()");
            let is_name = |part: &str| {
                part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !part.is_empty()
            };
            let called = span.ends_with("()") || name.contains("::");
            let typed = name.starts_with(char::is_uppercase)
                && name.contains(char::is_lowercase)
                && is_name(name);
            if !(called || typed) || !name.split("::").all(is_name) {
                continue;
            }
            for part in name.split("::").filter(|part| !identifiers.contains(part)) {
                faults.push(format!("{}:{number}: `{span}`: there is no {part}", source.path));
            }
        }
    }
    report(&faults);
}

#[test]
fn code_in_documents_is_not_too_wide() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.is_document()) {
        let mut fenced = false;
        for (number, line) in source.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if fenced && line.chars().count() > 100 {
                faults.push(format!("{}:{number}: over 100 columns", source.path));
            }
        }
        if fenced {
            faults.push(format!("{}: a block of code has no end", source.path));
        }
    }
    report(&faults);
}

#[test]
fn the_guide_to_the_code_stays_short() {
    let lines = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap().lines().count();
    assert!(lines <= 300, "ARCHITECTURE.md has {lines} lines; a map has at most 300");
}

/// Compares the part of a document between two marks with what the code says, or writes it there.
fn agree(document: &str, parts: &[(&str, String)]) {
    let path = root().join(document);
    let text = fs::read_to_string(&path).unwrap();
    let mut made = text.clone();
    for (name, part) in parts {
        let (begin, end) = (format!("<!-- made: {name} -->\n"), format!("<!-- end: {name} -->"));
        let at =
            made.find(&begin).unwrap_or_else(|| panic!("{document}: no {begin}")) + begin.len();
        let upto = made.find(&end).unwrap_or_else(|| panic!("{document}: no {end}"));
        made.replace_range(at..upto, part);
    }
    if std::env::var_os("CONCORD_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
        return;
    }
    let differs = text.lines().zip(made.lines()).find(|(old, new)| old != new);
    assert!(
        text == made,
        "{document} is not what the code says, first: {differs:?}. Read what changed, set the text \
         around it right, and run: CONCORD_BLESS=1 cargo test -p node --test it tidy::documents"
    );
}

#[test]
fn the_attribute_table_is_the_one_of_the_code() {
    let policy = Policy::built_in();
    let mut table =
        String::from("| attribute | what | takes | rule | class |\n|---|---|---|---|---|\n");
    for row in attribute::table() {
        let class = match row.class {
            Class::Ordinary => "",
            Class::Money => "money",
            Class::Compliance => "compliance",
        };
        let rule = serde_json::to_value(policy.rule_of(row)).unwrap();
        let rule = rule.as_str().unwrap();
        let Attribute { pattern, title, value, .. } = row;
        table += &format!("| `{pattern}` | {title} | {} | `{rule}` | {class} |\n", takes(value));
    }
    agree("docs/data-model.md", &[("attributes", table)]);
}

/// Every kind of key stands in the table of the storage document.
#[test]
fn the_key_layout_is_the_one_of_the_code() {
    let source = fs::read_to_string(root().join("node/src/replica/layout.rs")).unwrap();
    let document = fs::read_to_string(root().join("docs/storage.md")).unwrap();
    let constants = source.lines().filter_map(|line| line.strip_prefix("pub const "));
    for line in constants {
        let (name, value) = line.split_once(": ").unwrap();
        // `COMMIT: u8 = b'c';` or `ROSTER: &[u8] = b"r";`
        let byte = value.split(['\'', '"']).nth(1).unwrap();
        let row = format!("| `{byte}` | `{name}` |");
        assert!(document.contains(&row), "docs/storage.md, \"Key layout\": no row {row}");
    }
}

/// What an attribute takes, in words.
fn takes(value: &ValueType) -> String {
    let range = |least: &i64, most: &i64| match (least, most) {
        (least, most) if *most == crdt_model::limits::INT_MAX && *least == -*most => String::new(),
        (least, most) if *most == crdt_model::limits::INT_MAX => format!(" from {least}"),
        (least, most) => format!(" {least} to {most}"),
    };
    match value {
        ValueType::Text(most) => format!("text ≤ {most}"),
        ValueType::Prose(most) => format!("text with lines ≤ {most}"),
        ValueType::Code(most) => format!("code ≤ {most}"),
        ValueType::Ranked(words) => words.join(" < "),
        ValueType::Word(words) => words.join(", "),
        ValueType::Bool => "true, false".to_owned(),
        ValueType::Present => "true".to_owned(),
        ValueType::Int(least, most) => format!("whole number{}", range(least, most)),
        ValueType::Money(least) if *least < 0 => "amount in minor units".to_owned(),
        ValueType::Money(least) => format!("amount in minor units from {least}"),
        ValueType::Decimal(least, most) => format!("decimal{}", range(least, most)),
        ValueType::Date => "day".to_owned(),
        ValueType::PartialDate => "day, month or year".to_owned(),
        ValueType::Country => "country (ISO 3166-1)".to_owned(),
        ValueType::Currency => "currency (ISO 4217)".to_owned(),
        ValueType::Language => "language (BCP 47)".to_owned(),
        ValueType::Url => "web address".to_owned(),
        ValueType::Email => "e-mail address".to_owned(),
        ValueType::Phone => "telephone number (E.164)".to_owned(),
        ValueType::Iban => "IBAN".to_owned(),
        ValueType::Bic => "BIC".to_owned(),
        ValueType::Lei => "LEI".to_owned(),
        ValueType::Duns => "D-U-N-S number".to_owned(),
        ValueType::Gln => "GLN".to_owned(),
        ValueType::Region => "region".to_owned(),
        ValueType::ItemId => "id of an item".to_owned(),
        ValueType::Record => "customer id".to_owned(),
        ValueType::Json(most) => format!("canonical JSON object ≤ {most} bytes"),
        ValueType::Group(members) => {
            let member = |member: &attribute::Member| {
                let mark = if member.required { "**" } else { "" };
                format!("{mark}{}{mark}: {}", member.name, takes(&member.value))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("group: {}", members.join("; "))
        }
    }
}

/// Functions whose names begin so, or are so, decide which bytes travel.
const CODEC: [&str; 8] =
    ["encode", "decode", "read", "write", "log_id", "digest", "signed_message", "entry_message"];

/// The code that decides which bytes travel, without comments: of codec, frames and blocks all, of the
/// others the constants and the functions of [`CODEC`].
fn wire_code(source: &Source) -> Vec<&str> {
    let is_whole = |part| source.path.contains(part);
    let whole = ["/codec.rs", "/frame.rs", "/block.rs", "/block/"].into_iter().any(is_whole);
    let mut code = Vec::new();
    let mut end: Option<String> = None;
    for (_, line) in source.lines() {
        let text = line.trim();
        let name = text.split_once("fn ").map_or("", |(_, name)| name);
        if end.is_none() && CODEC.iter().any(|codec| name.starts_with(codec)) {
            let indent = &line[..line.len() - line.trim_start().len()];
            end = Some(format!("{indent}}}"));
        }
        let wanted = whole || end.is_some() || text.contains("const ");
        if wanted && !text.is_empty() && !text.starts_with("//") {
            code.push(text);
        }
        if end.as_deref() == Some(line) {
            end = None;
        }
    }
    code
}

fn wire_hash() -> String {
    let mut hasher = blake3::Hasher::new();
    let all = sources();
    for name in WIRE {
        let path = format!("node/src/replica/{name}.rs");
        let source = all.iter().find(|source| source.path == path).unwrap();
        wire_code(source).into_iter().for_each(|line| {
            hasher.update(line.as_bytes());
        });
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// The value, with its unit, of every bound.
fn limits_table() -> String {
    let source = fs::read_to_string(root().join("node/src/replica/limits.rs")).unwrap();
    let mut table = String::from("| limit | value | why |\n|---|---|---|\n");
    let mut why = Vec::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            why.push(text.replace("[`", "`").replace("`]", "`"));
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            let name = rest.split(':').next().unwrap();
            let value = LIMITS.iter().find(|(known, _)| *known == name);
            let (_, value) = value.unwrap_or_else(|| panic!("tidy: LIMITS lacks {name}"));
            table += &format!("| `{name}` | {} | {} |\n", shown(name, *value), why.join(" "));
            why.clear();
        } else {
            why.clear();
        }
    }
    table
}

fn shown(name: &str, value: u64) -> String {
    match value {
        _ if name.contains("_MS") && value >= 60_000 => format!("{} min", value / 60_000),
        _ if name.contains("_MS") => format!("{value} ms"),
        _ if name.contains("BYTES") || name.contains("FRAME") || name.contains("FLIGHT") => {
            match value {
                _ if value.is_multiple_of(1 << 20) => format!("{} MiB", value >> 20),
                _ if value.is_multiple_of(1 << 10) => format!("{} KiB", value >> 10),
                _ => format!("{value} B"),
            }
        }
        _ => value.to_string(),
    }
}

macro_rules! limits {
    ($($name:ident),* $(,)?) => {
        /// Every bound by its name.
        const LIMITS: &[(&str, u64)] = &[$((stringify!($name), limits::$name as u64)),*];
    };
}

limits!(
    COMMIT_ITEMS_MAX,
    COMMIT_BYTES_MAX,
    ITEM_BYTES_MAX,
    HEADER_BYTES_MAX,
    FOLLOWS_MAX,
    OPEN_LOGS_MAX,
    RECORD_BYTES_MAX,
    HOT_BYTES_MAX,
    PROVENANCE_BYTES_MAX,
    FRAME_MAX,
    BLOCK_BYTES_MAX,
    BLOCK_BYTES_SMALL,
    BLOCK_BYTES_TARGET,
    LINK_IN_FLIGHT_MAX,
    NODE_IN_FLIGHT_MAX,
    ROSTER_ENTRIES_MAX,
    MEMBERS_MAX,
    ROSTER_BYTES_MAX,
    ROSTER_FRAME_BYTES,
    POLICY_BYTES_MAX,
    POLICY_SIGNATURES_MAX,
    VECTOR_ENTRIES_MAX,
    BRANCH_HEADERS_MAX,
    LINKED_MAX,
    ALARMS_MAX,
    HEARTBEAT_MS,
    SETTLED_MS,
    SETTLED_LINKS_MAX,
    STALL_MS,
    BACKOFF_MS_MIN,
    BACKOFF_MS_MAX,
    COURTESY_MS,
    CLOCK_OFFSET_MS_MAX,
    CLOCK_READING_MS,
    CLOCK_PEERS_MIN,
);

/// The limits, and the hash of the files that decide which bytes travel: who changes them reads the
/// description again.
#[test]
fn the_description_of_the_wire_is_the_one_of_the_code() {
    let wire = format!("`{}`\n", wire_hash());
    agree("docs/replication.md", &[("wire", wire), ("limits", limits_table())]);
}

/// The figure that a reader remembers.
#[test]
fn a_hello_is_as_long_as_it_is_described() {
    let (control, history, golden) = ([0; 32], [0; 32], [0; 32]);
    let hello = Frame::Hello(Hello {
        version_min: PROTOCOL_MIN,
        version_max: PROTOCOL_MAX,
        network: [0; 32],
        clock_ms: 0,
        digests: Digests { roster_height: 6, control, history, golden, rules: [0; 8] },
    });
    let told = format!("A hello has {} bytes", hello.encode().len());
    let document = fs::read_to_string(root().join("docs/replication.md")).unwrap();
    assert!(document.replace('\n', " ").contains(&told), "docs/replication.md: not {told}");
}
