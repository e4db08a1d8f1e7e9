//! The attribute table: what a customer can carry, what each attribute takes, and which rule decides.

use axum::Json;
use axum::extract::State;
use crdt_model::attribute::{Attribute, Class, Member, ValueType, table};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::Problem;

/// One attribute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttributeView {
    /// Its path, with placeholders in braces.
    pub(crate) path: &'static str,
    /// What a clerk calls it.
    pub(crate) title: &'static str,
    /// What it takes.
    #[serde(flatten)]
    pub(crate) takes: TypeView,
    /// What is at stake: `ordinary`, `money` or `compliance`.
    pub(crate) class: &'static str,
    /// The standard or register that defines it; empty for plain business data.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) standard: &'static str,
    /// Whether it is one item of a set or collection.
    pub(crate) item: bool,
    /// Whether it is a block or hold.
    pub(crate) block: bool,
    /// The rule that decides which claim survives.
    pub(crate) rule: String,
    /// The rule as a clerk calls it.
    pub(crate) rule_title: &'static str,
}

/// What an attribute or a member of a group takes.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct TypeView {
    /// The type: `text`, `code`, `ranked`, `group` and so on.
    #[serde(rename = "type")]
    pub(crate) name: &'static str,
    /// The most characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_length: Option<usize>,
    /// The words that it takes; of ranked ones the least conservative first.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pub(crate) words: &'static [&'static str],
    /// The smallest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) minimum: Option<i64>,
    /// The largest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maximum: Option<i64>,
    /// The members of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) members: Vec<MemberView>,
}

/// A member of a group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether a group needs it.
    pub(crate) required: bool,
    /// What it takes.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub(crate) takes: TypeView,
}

/// The attribute table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttributeTable {
    /// The version of the policy that holds the rules.
    pub(crate) policy_version: u32,
    /// Kinds of sources (`erp` of `erp-emea`), the best first; others rank last.
    pub(crate) source_kinds: Vec<String>,
    /// Every attribute.
    pub(crate) attributes: Vec<AttributeView>,
}

/// Shows what a customer can carry.
#[utoipa::path(
    get, path = "/v1/attributes", tag = "model",
    responses(
        (status = 200, description = "The attribute table", body = AttributeTable),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn attributes(State(app): State<App>) -> Json<AttributeTable> {
    let policy = app.handle.policy();
    let view = |attribute: &Attribute| {
        let rule = policy.rule_of(attribute);
        let code = serde_json::to_value(rule).unwrap_or_default();
        AttributeView {
            path: attribute.pattern,
            title: attribute.title,
            takes: type_of(attribute.value),
            class: match attribute.class {
                Class::Ordinary => "ordinary",
                Class::Money => "money",
                Class::Compliance => "compliance",
            },
            standard: attribute.standard,
            item: attribute.is_item(),
            block: attribute.is_block(),
            rule: code.as_str().unwrap_or_default().to_owned(),
            rule_title: rule.title(),
        }
    };
    Json(AttributeTable {
        policy_version: policy.version,
        source_kinds: policy.source_kinds.clone(),
        attributes: table().iter().map(view).collect(),
    })
}

fn type_of(value: ValueType) -> TypeView {
    let named = |name| TypeView { name, ..TypeView::default() };
    match value {
        ValueType::Text(max) => TypeView { max_length: Some(max), ..named("text") },
        ValueType::Prose(max) => TypeView { max_length: Some(max), ..named("prose") },
        ValueType::Code(max) => TypeView { max_length: Some(max), ..named("code") },
        ValueType::Ranked(words) => TypeView { words, ..named("ranked") },
        ValueType::Word(words) => TypeView { words, ..named("word") },
        ValueType::Bool => named("boolean"),
        ValueType::Present => named("present"),
        ValueType::Int(minimum, maximum) => {
            TypeView { minimum: Some(minimum), maximum: Some(maximum), ..named("integer") }
        }
        ValueType::Money(minimum) => TypeView { minimum: Some(minimum), ..named("money") },
        ValueType::Decimal(minimum, maximum) => {
            TypeView { minimum: Some(minimum), maximum: Some(maximum), ..named("decimal") }
        }
        ValueType::Date => named("date"),
        ValueType::PartialDate => named("partial-date"),
        ValueType::Country => named("country"),
        ValueType::Currency => named("currency"),
        ValueType::Language => named("language"),
        ValueType::Url => named("url"),
        ValueType::Email => named("email"),
        ValueType::Phone => named("phone"),
        ValueType::Iban => named("iban"),
        ValueType::Bic => named("bic"),
        ValueType::Lei => named("lei"),
        ValueType::Duns => named("duns"),
        ValueType::Gln => named("gln"),
        ValueType::Region => named("region"),
        ValueType::ItemId => named("item-id"),
        ValueType::Record => named("record"),
        ValueType::Json(max) => TypeView { max_length: Some(max), ..named("json") },
        ValueType::Group(members) => {
            TypeView { members: members.iter().map(member).collect(), ..named("group") }
        }
    }
}

fn member(member: &Member) -> MemberView {
    MemberView { name: member.name, required: member.required, takes: type_of(member.value) }
}
