//! What an expression sees of a golden record, and the meter of what it may read.
//!
//! The library that evaluates (CEL) has maps without an order and copies what it loops over. So a record
//! is shown through values of our own: their members come in order, none is copied, and each that is
//! handed out is paid for. What is not paid for is not handed out, which ends an evaluation that the
//! library itself could not interrupt.

use std::any::Any;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Memory};

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as ValIterator, Sizer};
use cel::common::types::{CelBool, CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;

use crate::attribute;
use crate::path::AttributePath;
use crate::value::{Scalar, Value};

/// The most bytes of a text that an expression may look into.
pub(super) const TEXT_MAX: usize = 1024;
/// The most items of a collection that an expression may go through.
pub(super) const ITEMS_MAX: usize = 500;
/// So many bytes of a text cost as much as one more step.
const BYTES_A_STEP: usize = 64;

/// How much an evaluation may still read.
#[derive(Debug, Default)]
pub(super) struct Meter {
    left: AtomicU64,
    per_item: AtomicU64,
    is_over: AtomicBool,
}

impl Meter {
    /// Starts an evaluation that may take so many steps, with the cost of each turn of a loop.
    pub(super) fn start(&self, steps: u64, per_item: u64) {
        self.left.store(steps, Memory::Relaxed);
        self.per_item.store(per_item, Memory::Relaxed);
        self.is_over.store(false, Memory::Relaxed);
    }

    /// The steps that were not used.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Memory::Relaxed)
    }

    /// Whether something was refused: then the result means nothing.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Memory::Relaxed)
    }

    /// Pays; `false` when there is not enough left.
    pub(super) fn pay(&self, steps: u64) -> bool {
        let left = self.left().checked_sub(steps);
        self.left.store(left.unwrap_or(0), Memory::Relaxed);
        if left.is_none() {
            self.refuse();
        }
        left.is_some()
    }

    fn refuse(&self) {
        self.is_over.store(true, Memory::Relaxed);
    }

    fn pay_text(&self, bytes: usize) -> bool {
        self.pay(1 + (bytes / BYTES_A_STEP) as u64)
    }
}

/// A value as an expression sees it.
#[derive(Debug, Clone)]
enum Fact {
    Text(CelString<'static>),
    Long(LongText),
    Int(CelInt),
    Bool(CelBool),
    Table(Table),
}

impl Fact {
    fn of(scalar: &Scalar) -> Self {
        match scalar {
            Scalar::Bool(flag) => Self::Bool(CelBool::from(*flag)),
            Scalar::Int(number) => Self::Int(CelInt::from(*number)),
            Scalar::Text(text) if text.len() > TEXT_MAX => Self::Long(LongText),
            Scalar::Text(text) => Self::Text(CelString::from(text.clone())),
        }
    }

    fn of_value(value: &Value, meter: &Arc<Meter>) -> Self {
        match value {
            Value::One(scalar) => Self::of(scalar),
            Value::Group(members) => {
                let named = members.iter().map(|(name, scalar)| (name.clone(), Self::of(scalar)));
                Self::Table(Table::of(named.collect(), meter))
            }
        }
    }

    fn as_val(&self) -> &(dyn Val + 'static) {
        match self {
            Self::Text(text) => text,
            Self::Long(text) => text,
            Self::Int(number) => number,
            Self::Bool(flag) => flag,
            Self::Table(table) => table,
        }
    }

    /// The value, if the meter lets it be read.
    fn paid<'b>(&'b self, meter: &Meter) -> Option<CowVal<'b, 'static>> {
        let bytes = if let Self::Text(text) = self { text.inner().len() } else { 0 };
        meter.pay_text(bytes).then(|| CowVal::Borrowed(self.as_val()))
    }
}

/// Members by name, in the order of the names.
#[derive(Debug, Clone)]
struct Table {
    entries: Arc<[(CelString<'static>, Fact)]>,
    meter: Arc<Meter>,
}

impl Table {
    fn of(entries: BTreeMap<String, Fact>, meter: &Arc<Meter>) -> Self {
        let entries = entries.into_iter().map(|(name, fact)| (CelString::from(name), fact));
        Self { entries: entries.collect(), meter: Arc::clone(meter) }
    }

    fn find(&self, name: &str) -> Option<&Fact> {
        let place = self.entries.binary_search_by(|(entry, _)| entry.inner().cmp(name)).ok()?;
        self.entries.get(place).map(|(_, fact)| fact)
    }
}

impl Val for Table {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let Some(other) = other.downcast_ref::<Self>() else { return false };
        // As deep as a path has segments.
        self.entries.len() == other.entries.len()
            && self.entries.iter().zip(other.entries.iter()).all(|(a, b)| {
                let bytes = if let Fact::Text(text) = &a.1 { text.inner().len() } else { 0 };
                self.meter.pay_text(a.0.inner().len() + bytes)
                    && a.0.inner() == b.0.inner()
                    && a.1.as_val().equals(b.1.as_val())
            })
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Table {}

impl Container for Table {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        let name = value.downcast_ref::<CelString<'_>>();
        Ok(name.is_some_and(|name| self.find(name.inner()).is_some()))
    }
}

impl Sizer for Table {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.entries.len()).unwrap_or(i64::MAX))
    }
}

impl Indexer for Table {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(name) = name.downcast_ref::<CelString<'_>>() else {
            return Err(ExecutionError::no_such_key("(a name that is no text)"));
        };
        let fact =
            self.find(name.inner()).ok_or_else(|| ExecutionError::no_such_key(name.inner()))?;
        fact.paid(&self.meter).ok_or_else(|| ExecutionError::function_error("read", "over"))
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

impl Iterable for Table {
    fn iter<'b, 'v>(&'b self) -> Box<dyn ValIterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        let is_small = self.entries.len() <= ITEMS_MAX;
        if !is_small {
            self.meter.refuse();
        }
        let entries = if is_small { &self.entries[..] } else { &[] };
        Box::new(Names { entries: entries.iter(), meter: &self.meter })
    }
}

/// The names of a table's members, each paid for with the cost of one turn of the loop.
struct Names<'b> {
    entries: std::slice::Iter<'b, (CelString<'static>, Fact)>,
    meter: &'b Meter,
}

impl<'b, 'v> ValIterator<'b, 'v> for Names<'b> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        let (name, _) = self.entries.next()?;
        let cost = self.meter.per_item.load(Memory::Relaxed);
        self.meter.pay(cost).then_some(name as &dyn Val)
    }
}

/// A text that is too long to look into: it is there, and nothing else can be asked of it.
#[derive(Debug, Clone, Copy)]
struct LongText;

static LONG_TEXT: Type = Type::new_unspecified_type("a text of more than 1,024 bytes");

impl Val for LongText {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &LONG_TEXT
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for LongText {}

/// One golden record as expressions see it, and the attribute that they are asked about.
#[derive(Debug)]
pub(super) struct Facts {
    record: Fact,
    value: Fact,
    keys: Fact,
    meter: Arc<Meter>,
}

impl Facts {
    /// The record of these values; `sections`: only these parts of it, for nobody asks for others.
    pub(super) fn of(
        golden: &BTreeMap<&AttributePath, &Value>,
        sections: Option<&BTreeSet<String>>,
    ) -> Self {
        let meter = Arc::new(Meter::default());
        let mut root = Branch::default();
        for (path, value) in golden {
            let segments = path.segments();
            if sections.is_some_and(|asked| !asked.contains(&segments[0])) {
                continue;
            }
            let mut branch = &mut root;
            for segment in segments {
                branch = branch.below.entry(segment).or_default();
            }
            branch.own = Some(value);
        }
        let nothing = Fact::Table(Table::of(BTreeMap::new(), &meter));
        Self { record: root.into_fact(&meter), value: nothing.clone(), keys: nothing, meter }
    }

    /// Makes `value` and `keys` those of an attribute.
    pub(super) fn turn_to(&mut self, path: &AttributePath, value: &Value) {
        self.value = Fact::of_value(value, &self.meter);
        let keys = attribute::lookup(path).map(|attribute| attribute.placeholders(path));
        let keys = keys.unwrap_or_default().into_iter();
        let named =
            keys.map(|(name, key)| (name.to_owned(), Fact::of(&Scalar::Text(key.into_owned()))));
        self.keys = Fact::Table(Table::of(named.collect(), &self.meter));
    }

    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

impl VariableResolver for Facts {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let fact = match variable {
            "record" => &self.record,
            "value" => &self.value,
            "keys" => &self.keys,
            _ => return None,
        };
        // Not handing it out would be an unknown name; the meter remembers that it was not paid for.
        let bytes = if let Fact::Text(text) = fact { text.inner().len() } else { 0 };
        self.meter.pay_text(bytes);
        Some(CowVal::Borrowed(fact.as_val()))
    }
}

/// A part of the record on its way into a [`Table`], nested as [`crate::tree::nest`] does.
#[derive(Default)]
struct Branch<'a> {
    own: Option<&'a Value>,
    below: BTreeMap<String, Self>,
}

impl Branch<'_> {
    // As deep as a path has segments.
    fn into_fact(self, meter: &Arc<Meter>) -> Fact {
        let mut entries = match self.own {
            Some(own) if self.below.is_empty() => return Fact::of_value(own, meter),
            Some(Value::Group(members)) => {
                members.iter().map(|(name, scalar)| (name.clone(), Fact::of(scalar))).collect()
            }
            Some(Value::One(scalar)) => BTreeMap::from([("value".to_owned(), Fact::of(scalar))]),
            None => BTreeMap::new(),
        };
        for (name, branch) in self.below {
            entries.insert(name, branch.into_fact(meter));
        }
        Fact::Table(Table::of(entries, meter))
    }
}
