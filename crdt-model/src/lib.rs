//! The customer record of Concord: claims in, golden record out.

pub mod attribute;
pub mod claim;
pub mod golden_record;
pub mod id;
pub mod path;
pub mod policy;
pub mod survivorship;
pub mod time;
pub mod value;
