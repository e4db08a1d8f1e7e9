//! Rows of JSON Lines: one object a line. A column is a member, or a JSON pointer into the object.

use std::fmt;
use std::io::{self, BufRead};

use encoding_rs::Encoding;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value as Json};

use super::{ROW_MAX, Row, decoded, not_in_encoding, too_long};
use crate::import::RowFault;
use crate::import::mapping::Mapping;
use crate::import::rejects::MEMBER as REJECT_MEMBER;

pub(in crate::import) struct JsonRows<R> {
    input: R,
    columns: Vec<String>,
    encoding: &'static Encoding,
    line: u64,
}

/// An object in which no member stands twice: readers disagree about which one counts.
struct Members(Map<String, Json>);

impl<R: BufRead> JsonRows<R> {
    pub(super) fn new(input: R, mapping: &Mapping) -> Self {
        let columns = mapping.columns.clone();
        Self { input, columns, encoding: mapping.encoding, line: 0 }
    }

    pub(super) const fn input(&self) -> &R {
        &self.input
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> io::Result<Option<Row>> {
        loop {
            let Some((mut raw, is_too_long)) = self.line()? else { return Ok(None) };
            if is_too_long {
                let texts = Err(too_long(self.line));
                return Ok(Some(Row { raw, is_whole: false, texts }));
            }
            let blank = |byte: &u8| byte.is_ascii_whitespace();
            raw.truncate(raw.len() - raw.iter().rev().take_while(|byte| blank(byte)).count());
            if raw.iter().all(blank) {
                continue;
            }
            return Ok(Some(self.row(raw)));
        }
    }

    /// The next line, cut where it is too long.
    fn line(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        let mut raw = Vec::new();
        let mut is_too_long = false;
        self.line += 1;
        loop {
            let input = self.input.fill_buf()?;
            if input.is_empty() {
                return Ok((!raw.is_empty()).then_some((raw, is_too_long)));
            }
            let end = input.iter().position(|byte| *byte == b'\n');
            let read = end.unwrap_or(input.len());
            let room = ROW_MAX.saturating_sub(raw.len());
            is_too_long |= read > room;
            raw.extend_from_slice(&input[..read.min(room)]);
            self.input.consume(read + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some((raw, is_too_long)));
            }
        }
    }

    fn row(&self, raw: Vec<u8>) -> Row {
        let Some(text) = decoded(self.encoding, &raw) else {
            let texts = Err(not_in_encoding(self.encoding, self.line));
            return Row { raw, is_whole: false, texts };
        };
        let mut object = match serde_json::from_str::<Members>(&text) {
            Ok(Members(object)) => Json::Object(object),
            Err(error) => {
                let text = format!("Line {} is not one JSON object: {error}.", self.line);
                let fault =
                    RowFault { code: "json-malformed".to_owned(), pointer: String::new(), text };
                return Row { raw, is_whole: false, texts: Err(fault) };
            }
        };
        let is_of_rejects =
            object.as_object_mut().and_then(|members| members.remove(REJECT_MEMBER)).is_some();
        let raw = if is_of_rejects { object.to_string().into_bytes() } else { raw };
        let texts = self.columns.iter().map(|column| text_at(&object, column)).collect();
        Row { raw, is_whole: true, texts }
    }
}

/// What a column says; nothing when the member is not there.
fn text_at(object: &Json, column: &str) -> Result<String, RowFault> {
    let found = if column.starts_with('/') { object.pointer(column) } else { object.get(column) };
    match found {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Number(number)) => Ok(number.to_string()),
        Some(Json::Bool(flag)) => Ok(flag.to_string()),
        Some(Json::Array(_) | Json::Object(_)) => {
            let text = "This is a list or an object. Name its members: \"/address/city\".";
            Err(RowFault::at_column("wrong-type", column, String::new(), text))
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members, A::Error> {
                let mut object = Map::new();
                while let Some((key, value)) = members.next_entry::<String, Json>()? {
                    if object.contains_key(&key) {
                        let shown: String = key.chars().take(60).collect();
                        return Err(A::Error::custom(format!("the member {shown:?} stands twice")));
                    }
                    object.insert(key, value);
                }
                Ok(Members(object))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
