//! Values read from JSON by their first character, and not by trying one form after the other: each of
//! them is read several times for every claim that is applied.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::{Scalar, Value};

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number or a boolean")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        i64::try_from(number).map(Scalar::Int).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, a boolean or an object of these")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        ScalarVisitor.visit_bool(flag).map(Value::One)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        ScalarVisitor.visit_i64(number).map(Value::One)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        ScalarVisitor.visit_u64(number).map(Value::One)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        ScalarVisitor.visit_str(text).map(Value::One)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        ScalarVisitor.visit_string(text).map(Value::One)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Value, A::Error> {
        BTreeMap::deserialize(MapAccessDeserializer::new(members)).map(Value::Group)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}
