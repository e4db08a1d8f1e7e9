//! The customer record of Concord: claims in, golden record out.

pub mod attribute;
pub mod claim;
pub mod code_list;
pub mod credit;
pub mod customer_number;
pub mod document;
pub mod finding;
pub mod golden_record;
pub mod governance;
pub mod hierarchy;
pub mod id;
pub mod issue;
pub mod limits;
pub mod normalize;
pub mod party;
pub mod path;
pub mod policy;
pub mod survivorship;
pub mod time;
pub mod tree;
pub mod value;
pub mod version;
