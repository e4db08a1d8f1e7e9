//! The size limits of the customer record. They belong to the record format, not to a release:
//! a verdict must be the same on every node.

/// The most bytes that one stored claim may have: its value, its validity and its raw form.
pub const FIELD_MAX: usize = 64 * 1024;

/// The most bytes that the claims of one record may have together.
pub const RECORD_MAX: usize = 256 * 1024;

/// The most items that one collection may have, for example the bank accounts of a customer.
pub const COLLECTION_MAX: usize = 500;

/// The most attributes that one patch may set.
pub const PATCH_MAX: usize = 5_000;

/// The most faults that one answer lists; the rest are cut, because nobody reads them.
pub const FAULTS_MAX: usize = 100;

/// The largest whole number that every JSON reader takes exactly: 2^53 - 1 (RFC 8785, I-JSON).
pub const INT_MAX: i64 = (1 << 53) - 1;
