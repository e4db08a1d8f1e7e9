//! The run-length columns of a change, expanded under a bound.
//!
//! A run of a million equal values takes three bytes. So nothing is expanded past the number of rows
//! that the caller allows, and no value is copied: texts are borrowed from the input.

use super::chunk::Reader;

/// Why a column was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnError {
    /// It holds more rows than the caller allows.
    TooLong,
    /// It is cut short, or a value is not of its type.
    Malformed,
}

/// The rows of a run-length column; `None` is a row without a value.
pub(super) fn rows<'a, T: Copy>(
    column: &'a [u8],
    limit: usize,
    read: impl Fn(&mut Reader<'a>) -> Option<T>,
) -> Result<Vec<Option<T>>, ColumnError> {
    let mut reader = Reader::new(column);
    let mut rows = Vec::new();
    while !reader.is_empty() {
        let head = reader.sleb().ok_or(ColumnError::Malformed)?;
        let length = match head {
            0 => reader.uleb().ok_or(ColumnError::Malformed)?,
            run => run.unsigned_abs(),
        };
        let length = usize::try_from(length).map_err(|_| ColumnError::TooLong)?;
        if length == 0 {
            return Err(ColumnError::Malformed);
        }
        if length > limit - rows.len() {
            return Err(ColumnError::TooLong);
        }
        if head == 0 {
            rows.extend(std::iter::repeat_n(None, length));
        } else if head > 0 {
            let value = read(&mut reader).ok_or(ColumnError::Malformed)?;
            rows.extend(std::iter::repeat_n(Some(value), length));
        } else {
            for _ in 0..length {
                rows.push(Some(read(&mut reader).ok_or(ColumnError::Malformed)?));
            }
        }
    }
    Ok(rows)
}

/// The rows of a run-length column in which every row has a value.
pub(super) fn values<'a, T: Copy>(
    column: &'a [u8],
    limit: usize,
    read: impl Fn(&mut Reader<'a>) -> Option<T>,
) -> Result<Vec<T>, ColumnError> {
    rows(column, limit, read)?.into_iter().collect::<Option<_>>().ok_or(ColumnError::Malformed)
}

/// The rows of a column that holds the differences between one row and the next.
pub(super) fn sums(column: &[u8], limit: usize) -> Result<Vec<i64>, ColumnError> {
    let mut sum = 0_i64;
    values(column, limit, Reader::sleb)?
        .into_iter()
        .map(|difference| {
            sum = sum.checked_add(difference).ok_or(ColumnError::Malformed)?;
            Ok(sum)
        })
        .collect()
}

/// Whether any row of a boolean column is true. The column is never expanded: it alternates between
/// the lengths of runs of false and of true.
pub(super) fn any_true(column: &[u8]) -> Result<bool, ColumnError> {
    let mut reader = Reader::new(column);
    let mut truth = false;
    while !reader.is_empty() {
        let length = reader.uleb().ok_or(ColumnError::Malformed)?;
        if truth && length > 0 {
            return Ok(true);
        }
        truth = !truth;
    }
    Ok(false)
}
