//! Canonical JSON (RFC 8785), written in one go.
//!
//! A hook into the writer of `serde_json`: what it writes goes into one buffer, and the members of an object
//! are put in order when it ends, unless they came so. Where that is not plainly the canonical form (names
//! that are not ASCII or need escapes, numbers of 2^53 and beyond or with a fraction), it says so, and the library that
//! knows all of the standard takes over, at twenty times the cost.

use std::io;
use std::ops::Range;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use crate::limits::INT_MAX;

/// The canonical JSON text (RFC 8785) of a value made of objects, arrays, texts, booleans and whole
/// numbers within ±2^53, which is all that the model serialises.
pub fn canonical_json<T: Serialize>(value: &T) -> String {
    let mut text = Canonical { is_plain: true, ..Canonical::default() };
    let written = value.serialize(&mut Serializer::with_formatter(io::sink(), &mut text));
    let plain = (written.is_ok() && text.is_plain).then(|| String::from_utf8(text.out).ok());
    let whole = || serde_json_canonicalizer::to_string(value).ok();
    plain.flatten().or_else(whole).unwrap_or_default()
}

#[derive(Debug, Default)]
struct Canonical {
    out: Vec<u8>,
    /// The objects that are open, the outermost first.
    open: Vec<Object>,
    /// Whether all that was written is plainly in its canonical form.
    is_plain: bool,
}

/// Where a member stands in the text, and how long its name is, without the quotes.
type Member = (Range<usize>, usize);

#[derive(Debug, Default)]
struct Object {
    members: Vec<Member>,
    is_in_order: bool,
}

impl Canonical {
    /// The name of a member as it was written.
    fn name(&self, (member, name): &Member) -> &[u8] {
        &self.out[member.start + 1..member.start + 1 + name]
    }

    fn number(&mut self, is_exact: bool) -> &mut Vec<u8> {
        self.is_plain &= is_exact;
        &mut self.out
    }

    /// Ends the name that began last.
    fn named(&mut self) {
        let Some(mut object) = self.open.pop() else { return };
        if let Some((member, name)) = object.members.last_mut() {
            *name = self.out.len() - member.start - 2;
        }
        if let [.., before, last] = object.members.as_slice() {
            object.is_in_order &= self.name(before) < self.name(last);
        }
        let is_simple = |name: &[u8]| name.is_ascii() && !name.contains(&b'\\');
        self.is_plain &= object.members.last().is_some_and(|last| is_simple(self.name(last)));
        self.open.push(object);
    }

    /// Ends an object: its members stand in the order of their names.
    fn close(&mut self) {
        let Some(Object { mut members, is_in_order }) = self.open.pop() else { return };
        if is_in_order {
            return;
        }
        let Some(start) = members.first().map(|(first, _)| first.start) else { return };
        members.sort_by(|one, other| self.name(one).cmp(self.name(other)));
        let is_twice = |pair: &[Member]| self.name(&pair[0]) == self.name(&pair[1]);
        let has_twins = members.windows(2).any(is_twice);
        self.is_plain &= !has_twins;
        let mut sorted = Vec::with_capacity(self.out.len() - start);
        for (at, (member, _)) in members.into_iter().enumerate() {
            if at > 0 {
                sorted.push(b',');
            }
            sorted.extend_from_slice(&self.out[member]);
        }
        self.out.truncate(start);
        self.out.append(&mut sorted);
    }
}

/// Whether a number is one that every JSON reader takes for itself.
fn is_exact(number: impl TryInto<i64>) -> bool {
    number.try_into().is_ok_and(|number: i64| (-INT_MAX..=INT_MAX).contains(&number))
}

/// The writer is passed over: all goes into the buffer.
macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {$(
        fn $name<W: ?Sized + io::Write>(&mut self, _: &mut W, value: $type) -> io::Result<()> {
            CompactFormatter.$name(self.number(is_exact(value)), value)
        }
    )*};
}

impl Formatter for &mut Canonical {
    numbers! {
        write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128,
        write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, _: &mut W, value: f32) -> io::Result<()> {
        CompactFormatter.write_f32(self.number(false), value)
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, _: &mut W, value: f64) -> io::Result<()> {
        CompactFormatter.write_f64(self.number(false), value)
    }

    fn write_number_str<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        value: &str,
    ) -> io::Result<()> {
        CompactFormatter.write_number_str(self.number(false), value)
    }

    fn write_null<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.write_null(&mut self.out)
    }

    fn write_bool<W: ?Sized + io::Write>(&mut self, _: &mut W, value: bool) -> io::Result<()> {
        CompactFormatter.write_bool(&mut self.out, value)
    }

    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.begin_string(&mut self.out)
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.end_string(&mut self.out)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        CompactFormatter.write_string_fragment(&mut self.out, fragment)
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        CompactFormatter.write_char_escape(&mut self.out, escape)
    }

    fn write_byte_array<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        CompactFormatter.write_byte_array(&mut self.out, bytes)
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        CompactFormatter.write_raw_fragment(self.number(false), fragment)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.begin_array(&mut self.out)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.end_array(&mut self.out)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        first: bool,
    ) -> io::Result<()> {
        CompactFormatter.begin_array_value(&mut self.out, first)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.open.push(Object { members: Vec::new(), is_in_order: true });
        CompactFormatter.begin_object(&mut self.out)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.close();
        CompactFormatter.end_object(&mut self.out)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        first: bool,
    ) -> io::Result<()> {
        CompactFormatter.begin_object_key(&mut self.out, first)?;
        let start = self.out.len();
        self.open.last_mut().into_iter().for_each(|it| it.members.push((start..start, 0)));
        Ok(())
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.named();
        Ok(())
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object_value(&mut self.out)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.out.len();
        let last = self.open.last_mut().and_then(|object| object.members.last_mut());
        last.into_iter().for_each(|(member, _)| member.end = end);
        Ok(())
    }
}
