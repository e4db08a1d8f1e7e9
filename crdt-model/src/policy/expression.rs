//! Expressions over a golden record, in CEL: bounded when they are compiled, metered when they are asked.
//!
//! The library cannot interrupt an evaluation and knows functions that have no business here. So an
//! expression is taken only when it is small, calls nothing outside a short list, loops over nothing
//! but the record and at most [`LOOPS_MAX`] deep; and when it is asked, every turn of a loop and every
//! value read is paid for. The cost depends on the expression and the record alone: every node that
//! answers gives the same answer.

mod bounds;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::LazyLock;

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::extractors::This;
use cel::parser::Parser;
use cel::{Context, Env, ExecutionError};
use regex_lite::Regex;

use self::bounds::Bounds;
use super::facts::{Facts, ITEMS_MAX, Meter, TEXT_MAX};

/// The most bytes of an expression.
pub(super) const SOURCE_MAX: usize = 512;
/// The most nodes of an expression, with those that a loop adds.
const NODES_MAX: u64 = 300;
/// How deep an expression may be nested.
const DEPTH_MAX: usize = 24;
/// How deep loops may be nested.
const LOOPS_MAX: usize = 2;
/// The most additions: each may make a text longer.
const ADDITIONS_MAX: usize = 8;
/// The most bytes of a pattern of `matches`.
const PATTERN_MAX: usize = 100;
/// The most bytes of a compiled pattern, which bound what one byte of a text costs.
const PROGRAM_MAX: usize = 8 * 1024;
/// What one byte of a text costs that is held against a pattern.
const STEPS_A_MATCHED_BYTE: u64 = 8;
/// The most steps of one evaluation. A step is a node looked at or 64 bytes read.
pub(super) const STEPS_MAX: u64 = 250_000;
/// What an evaluation costs besides its nodes.
const STEPS_TO_START: u64 = 50;

/// Why an expression is not taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ExpressionError(String);

/// What an expression names of the record, the value and its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    /// The sections of `record`.
    pub(super) sections: BTreeSet<String>,
    /// `record` stands alone, so it may read any section.
    pub(super) is_whole_record: bool,
    /// The members of `value`.
    pub(super) members: BTreeSet<String>,
    /// The members of `keys`.
    pub(super) keys: BTreeSet<String>,
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    tree: Arc<IdedExpr>,
    nodes: u64,
    patterns: Arc<BTreeMap<String, Regex>>,
    mentions: Mentions,
}

/// The functions of CEL; no clock, no chance and no regular expressions among them.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Expression {
    /// Compiles an expression within the bounds.
    ///
    /// # Errors
    /// [`ExpressionError`]: not CEL, over a bound, or it names what it must not.
    pub(super) fn compile(source: &str) -> Result<Self, ExpressionError> {
        bounds::size(source)?;
        // The library holds a few places where it gives up by panicking.
        let parsed = catch_unwind(AssertUnwindSafe(|| {
            let depth = u16::try_from(DEPTH_MAX).unwrap_or(u16::MAX);
            Parser::new().max_recursion_depth(depth).error_recovery_limit(2).parse(source)
        }));
        let tree = match parsed {
            Ok(Ok(tree)) => tree,
            Ok(Err(errors)) => return Err(bounds::syntax(&errors)),
            Err(_) => return Err(ExpressionError("The expression cannot be read.".to_owned())),
        };
        let bounds = Bounds::of(&tree)?;
        Ok(Self {
            tree: Arc::new(tree),
            nodes: bounds.nodes,
            patterns: Arc::new(bounds.patterns),
            mentions: bounds.mentions,
        })
    }

    /// What it reads.
    pub(super) const fn mentions(&self) -> &Mentions {
        &self.mentions
    }

    /// Asks whether it holds, within so many steps; with the steps that are left.
    ///
    /// # Errors
    /// Why there is no answer, for people: a member that is not there, types that do not go together,
    /// or more steps than it may take.
    pub(super) fn holds(&self, facts: &mut Facts, steps: u64) -> (Result<bool, String>, u64) {
        let meter = Arc::clone(facts.meter());
        meter.start(steps, self.nodes);
        meter.pay(STEPS_TO_START + self.nodes);
        let answer = if meter.is_over() { Ok(false) } else { self.evaluate(facts, &meter) };
        let answer = if meter.is_over() {
            Err(format!(
                "The record is too large for this check: it may read {STEPS_MAX} things and go \
                 through {ITEMS_MAX} items of a collection."
            ))
        } else {
            answer
        };
        (answer, meter.left())
    }

    fn evaluate(&self, facts: &Facts, meter: &Arc<Meter>) -> Result<bool, String> {
        let answer = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_env(Arc::clone(&ENV));
            context.set_variable_resolver(facts);
            let (patterns, meter) = (Arc::clone(&self.patterns), Arc::clone(meter));
            let matches = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
                is_match(&patterns, &meter, &text, &pattern)
            };
            // It fails only where the library has `matches` already, which this build leaves out.
            if context.add_function("matches", matches).is_err() {
                return Err("The function matches stands twice.".to_owned());
            }
            let value =
                cel::Value::resolve_val(&self.tree, &context).map_err(|error| why(&error))?;
            let flag = value.downcast_ref::<CelBool>().map(|flag| *flag.inner());
            flag.ok_or_else(|| {
                format!("The expression gives {}, not true or false.", value.get_type().name())
            })
        }));
        answer.unwrap_or_else(|_| Err("The expression cannot be evaluated.".to_owned()))
    }
}

fn is_match(
    patterns: &BTreeMap<String, Regex>,
    meter: &Meter,
    text: &str,
    pattern: &str,
) -> Result<bool, ExecutionError> {
    let refused = |why| Err(ExecutionError::function_error("matches", why));
    let Some(regex) = patterns.get(pattern) else { return refused("unknown pattern") };
    // A sum of texts may be longer than a text.
    if text.len() > TEXT_MAX * (ADDITIONS_MAX + 1) {
        return refused("the text is too long");
    }
    if !meter.pay(STEPS_A_MATCHED_BYTE * text.len() as u64) {
        return refused("over");
    }
    Ok(regex.is_match(text))
}

/// Why there is no answer, for people.
fn why(error: &ExecutionError) -> String {
    if let ExecutionError::NoSuchKey(name) = error {
        return format!(
            "There is no {name} in this record. Ask has(...) or in before you read it."
        );
    }
    bounds::sentence(&error.to_string())
}

#[cfg(test)]
mod tests;
