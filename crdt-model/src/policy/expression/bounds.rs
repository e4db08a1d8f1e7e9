//! What an expression may be: how large, how deep, and what it may name.

use std::collections::BTreeMap;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::parser::ParseErrors;
use regex_lite::{Regex, RegexBuilder};

use super::{
    ADDITIONS_MAX, DEPTH_MAX, ExpressionError, LOOPS_MAX, Mentions, NODES_MAX, PATTERN_MAX,
    PROGRAM_MAX, SOURCE_MAX,
};
use crate::attribute::quote;
use crate::normalize::did_you_mean;

/// The most characters of a message of the library.
const MESSAGE_MAX: usize = 200;
/// What a loop adds to the nodes that are written.
const LOOP_NODES: u64 = 8;

/// The names that an expression starts from.
const VARIABLES: [&str; 3] = ["value", "record", "keys"];
/// The functions, each with the number of its arguments, the one before the dot included.
const FUNCTIONS: [(&str, usize); 8] = [
    ("contains", 2),
    ("double", 1),
    ("endsWith", 2),
    ("int", 1),
    ("matches", 2),
    ("size", 1),
    ("startsWith", 2),
    ("string", 1),
];
/// What can be called for people to know, besides the functions.
const FORMS: [&str; 4] = ["all", "exists", "has", "in"];
/// Functions of CEL that read time.
const OF_TIME: [&str; 6] = ["now", "timestamp", "duration", "today", "date", "time"];

const OPERATORS: [&str; 19] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
    operators::NOT_STRICTLY_FALSE,
];

fn refused<T>(text: impl Into<String>) -> Result<T, ExpressionError> {
    Err(ExpressionError(text.into()))
}

/// Judges the text before anything reads it: a reader may go as deep as there are brackets.
pub(super) fn size(source: &str) -> Result<(), ExpressionError> {
    if source.len() > SOURCE_MAX {
        return refused(format!(
            "The expression has {} bytes; at most {SOURCE_MAX} are taken. Make two checks of it.",
            source.len()
        ));
    }
    let mut depth = 0_usize;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return refused(too_deep());
        }
    }
    Ok(())
}

fn too_deep() -> String {
    format!("The expression is nested deeper than {DEPTH_MAX}. Make two checks of it.")
}

/// What the reader of CEL found, with the place.
pub(super) fn syntax(errors: &ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError("The expression cannot be read.".to_owned());
    };
    let (line, column) = first.pos;
    let place = if line > 0 { format!(" (line {line}, column {column})") } else { String::new() };
    let text = sentence(&first.msg);
    ExpressionError(format!("The expression cannot be read{place}: {text}"))
}

/// A message of the library, cut, on one line, with a full stop.
pub(super) fn sentence(message: &str) -> String {
    let line = message.replace(['\n', '\r'], " ");
    let cut: String = line.trim().chars().take(MESSAGE_MAX).collect();
    let is_cut = cut.len() < line.trim().len();
    let end = match (is_cut, cut.ends_with(['.', '?', '!'])) {
        (true, _) => "…",
        (false, true) => "",
        (false, false) => ".",
    };
    format!("{cut}{end}")
}

/// What was found in an expression that keeps to the bounds.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    pub(super) nodes: u64,
    pub(super) patterns: BTreeMap<String, Regex>,
    pub(super) mentions: Mentions,
    additions: usize,
    is_about_facts: bool,
    /// The variables of the loops around the place that is looked at.
    scope: Vec<String>,
}

impl Bounds {
    /// Walks the expression.
    pub(super) fn of(tree: &IdedExpr) -> Result<Self, ExpressionError> {
        let mut bounds = Self::default();
        bounds.walk(tree, 0)?;
        if !bounds.is_about_facts {
            return refused("The expression says the same of every record. Ask value or record.");
        }
        if !is_boolean(tree) {
            return refused(
                "The expression does not give true or false. Compare something, for example \
                 value.amount <= 100000.",
            );
        }
        Ok(bounds)
    }

    // As deep as DEPTH_MAX.
    fn walk(&mut self, tree: &IdedExpr, depth: usize) -> Result<(), ExpressionError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return refused(format!(
                "The expression has more than {NODES_MAX} parts. Make two checks of it."
            ));
        }
        if depth > DEPTH_MAX {
            return refused(too_deep());
        }
        match &tree.expr {
            Expr::Literal(literal) => literal_kind(literal),
            Expr::Ident(name) => {
                if name == "record" {
                    self.mentions.is_whole_record = true;
                }
                self.name(name)
            }
            Expr::Select(select) => self.select(&select.operand, Some(&select.field), depth),
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::List(list) => {
                list.elements.iter().try_for_each(|element| self.walk(element, depth + 1))
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                refused("An expression makes no tables. Ask for the members one by one.")
            }
        }
    }

    fn name(&mut self, name: &str) -> Result<(), ExpressionError> {
        self.is_about_facts |= VARIABLES.contains(&name);
        if VARIABLES.contains(&name) || self.scope.iter().any(|known| known == name) {
            return Ok(());
        }
        let known = VARIABLES.iter().copied().chain(self.scope.iter().map(String::as_str));
        let hint = did_you_mean(name, known);
        refused(format!(
            "There is no {} here.{hint} An expression knows value, record, keys and the variables of \
             its loops.",
            quote(name)
        ))
    }

    /// A member of something; notes which, where that can be told.
    fn select(
        &mut self,
        operand: &IdedExpr,
        member: Option<&str>,
        depth: usize,
    ) -> Result<(), ExpressionError> {
        let (Expr::Ident(name), Some(member)) = (&operand.expr, member) else {
            return self.walk(operand, depth + 1);
        };
        let noted = match name.as_str() {
            "record" => &mut self.mentions.sections,
            "value" => &mut self.mentions.members,
            "keys" => &mut self.mentions.keys,
            _ => return self.walk(operand, depth + 1),
        };
        noted.insert(member.to_owned());
        self.nodes += 1;
        self.is_about_facts = true;
        Ok(())
    }

    fn call(&mut self, call: &CallExpr, depth: usize) -> Result<(), ExpressionError> {
        let name = call.func_name.as_str();
        if name == operators::INDEX
            && let [operand, index] = &call.args[..]
        {
            self.walk(index, depth + 1)?;
            return self.select(operand, text_of(index), depth);
        }
        if !OPERATORS.contains(&name) {
            function(call)?;
        }
        if name == operators::ADD {
            self.additions += 1;
            if self.additions > ADDITIONS_MAX {
                return refused(format!("The expression adds more than {ADDITIONS_MAX} times."));
            }
        }
        if name == "matches" {
            self.pattern(call)?;
        }
        call.target.iter().try_for_each(|target| self.walk(target, depth + 1))?;
        call.args.iter().try_for_each(|argument| self.walk(argument, depth + 1))
    }

    /// A pattern is a constant, so that it is compiled once and no record can make it costly.
    fn pattern(&mut self, call: &CallExpr) -> Result<(), ExpressionError> {
        let Some(pattern) = call.args.last().and_then(text_of) else {
            return refused(
                "The pattern of matches is a text in quotation marks, nothing computed.",
            );
        };
        if pattern.len() > PATTERN_MAX {
            return refused(format!(
                "The pattern of matches has {} bytes; at most {PATTERN_MAX} are taken.",
                pattern.len()
            ));
        }
        match RegexBuilder::new(pattern).size_limit(PROGRAM_MAX).build() {
            Ok(regex) => {
                self.patterns.insert(pattern.to_owned(), regex);
                Ok(())
            }
            Err(error) => refused(format!(
                "The pattern {} cannot be used: {}",
                quote(pattern),
                sentence(&error.to_string())
            )),
        }
    }

    fn comprehension(
        &mut self,
        comprehension: &ComprehensionExpr,
        depth: usize,
    ) -> Result<(), ExpressionError> {
        let is_all_or_exists =
            matches!(comprehension.accu_init.expr, Expr::Literal(LiteralValue::Boolean(_)));
        let Expr::Call(step) = &comprehension.loop_step.expr else {
            return refused(loops_are());
        };
        let (true, None, [_, body]) = (is_all_or_exists, &comprehension.iter_var2, &step.args[..])
        else {
            return refused(loops_are());
        };
        if self.scope.len() >= LOOPS_MAX {
            return refused(format!("Loops are nested deeper than {LOOPS_MAX}."));
        }
        if !is_of_the_record(&comprehension.iter_range) {
            return refused(
                "A loop goes through a part of record or value. For a list, write value in [\"A\", \
                 \"B\"].",
            );
        }
        if VARIABLES.contains(&comprehension.iter_var.as_str()) {
            return refused(format!(
                "Name the variable of the loop something else than {}.",
                comprehension.iter_var
            ));
        }
        self.nodes += LOOP_NODES;
        self.walk(&comprehension.iter_range, depth + 1)?;
        self.scope.push(comprehension.iter_var.clone());
        let walked = self.walk(body, depth + 1);
        self.scope.pop();
        walked
    }
}

fn loops_are() -> String {
    "The loops of an expression are x.all(key, ...) and x.exists(key, ...).".to_owned()
}

/// Whether it is a variable, or what it holds: then a loop over it is metered.
fn is_of_the_record(tree: &IdedExpr) -> bool {
    let mut tree = tree;
    loop {
        tree = match &tree.expr {
            Expr::Ident(_) => return true,
            Expr::Select(select) if !select.test => &select.operand,
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.first() {
                Some(operand) => operand,
                None => return false,
            },
            Expr::Select(_)
            | Expr::Call(_)
            | Expr::Unspecified
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => return false,
        };
    }
}

fn text_of(tree: &IdedExpr) -> Option<&str> {
    let Expr::Literal(LiteralValue::String(text)) = &tree.expr else { return None };
    Some(text.inner())
}

fn literal_kind(literal: &LiteralValue) -> Result<(), ExpressionError> {
    match literal {
        LiteralValue::Boolean(_)
        | LiteralValue::Double(_)
        | LiteralValue::Int(_)
        | LiteralValue::String(_) => Ok(()),
        LiteralValue::Null => refused("Nothing in a record is null. Ask has(...) instead."),
        LiteralValue::Bytes(_) | LiteralValue::UInt(_) => {
            refused("A record holds texts, whole numbers and true or false. Leave out the b or u.")
        }
    }
}

/// Judges the name of a function and the number of its arguments.
fn function(call: &CallExpr) -> Result<(), ExpressionError> {
    let name = call.func_name.as_str();
    let arguments = call.args.len() + usize::from(call.target.is_some());
    match FUNCTIONS.iter().find(|(known, _)| *known == name) {
        Some((_, asked)) if *asked == arguments => Ok(()),
        Some((_, asked)) => {
            refused(format!("The function {name} takes {asked} things, not {arguments}."))
        }
        None if FORMS.contains(&name) => refused(format!(
            "{name} is not written like this: has(value.member), part.all(key, condition), \
             part.exists(key, condition), key in part."
        )),
        None => {
            let why = if OF_TIME.contains(&name) || name.starts_with("get") {
                " A check may not depend on the time."
            } else if name.starts_with("rand") || name.starts_with("uuid") {
                " A check may not depend on chance."
            } else {
                ""
            };
            let known = FUNCTIONS.iter().map(|(known, _)| *known).chain(FORMS);
            let listed = known.clone().collect::<Vec<_>>().join(", ");
            let hint = did_you_mean(name, known);
            refused(format!(
                "The function {} is not allowed.{why}{hint} Allowed are {listed}.",
                quote(name)
            ))
        }
    }
}

/// Whether the expression may give true or false. A member of the record may; its type is known only
/// when it is asked.
fn is_boolean(tree: &IdedExpr) -> bool {
    match &tree.expr {
        Expr::Select(_) | Expr::Ident(_) | Expr::Comprehension(_) => true,
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::CONDITIONAL => call.args.iter().skip(1).all(is_boolean),
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => {
                call.args.iter().all(is_boolean)
            }
            name => !NOT_BOOLEAN.contains(&name),
        },
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => false,
    }
}

/// Calls that never give true or false.
const NOT_BOOLEAN: [&str; 10] = [
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
    "double",
    "int",
    "size",
    "string",
];
