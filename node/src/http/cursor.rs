//! Cursors: where a list goes on. Opaque to clients.

use crdt_model::id::{RecordId, parse_hex};

use super::error::{self, ApiError, ApiResult};

/// The most entries of one page of a list.
const LIMIT_MAX: usize = 500;
/// The entries of a page when the client does not say.
const LIMIT_DEFAULT: usize = 50;

/// The number of entries of a page that a client asked for, within bounds.
pub(crate) fn page_size(limit: Option<usize>) -> usize {
    limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
}

/// The cursor after a record.
pub(crate) fn after_record(record: &RecordId) -> String {
    let digits: String = record.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("r{digits}")
}

/// The cursor after a position.
pub(crate) fn after_position(position: u64) -> String {
    format!("p{position:016x}")
}

/// The record that a cursor stands after.
pub(crate) fn record_of(cursor: Option<&str>) -> ApiResult<Option<RecordId>> {
    read(cursor, 'r', |digits| parse_hex(digits).map(RecordId::from_bytes))
}

/// The position that a cursor stands after; 0 without a cursor.
pub(crate) fn position_of(cursor: Option<&str>) -> ApiResult<u64> {
    let position = read(cursor, 'p', |digits| parse_hex(digits).map(u64::from_be_bytes))?;
    Ok(position.unwrap_or(0))
}

fn read<T>(
    cursor: Option<&str>,
    kind: char,
    parse: impl FnOnce(&str) -> Option<T>,
) -> ApiResult<Option<T>> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else { return Ok(None) };
    let place = cursor.strip_prefix(kind).and_then(parse).ok_or_else(|| {
        let text = "Give the cursor as this list gave it in \"next\", or leave it out.";
        ApiError::new(&error::CURSOR_INVALID, text)
    })?;
    Ok(Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_fits_its_list_only() {
        let record = RecordId::from_bytes([0xab; 16]);
        let cursor = after_record(&record);
        assert_eq!(record_of(Some(&cursor)).unwrap(), Some(record));
        assert_eq!(position_of(Some(&after_position(u64::MAX))).unwrap(), u64::MAX);
        assert_eq!(position_of(None).unwrap(), 0);
        assert_eq!(record_of(Some("")).unwrap(), None);
        for foreign in [cursor.as_str(), "p12", "pz", "p00000000000000é0"] {
            assert_eq!(position_of(Some(foreign)).unwrap_err().kind, &error::CURSOR_INVALID);
        }
    }

    #[test]
    fn a_page_has_bounds() {
        assert_eq!([None, Some(0), Some(7), Some(9_999)].map(page_size), [50, 1, 7, 500]);
    }
}
