//! The byte codec of commits, rosters and frames: fixed arrays, canonical LEB128 numbers, and byte
//! strings with their length before them. Every length is checked against a bound before it is used.

/// Why bytes cannot be decoded. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes are left over.
    #[error("there are bytes after the end")]
    Trailing,
    /// A number is not in its shortest form or does not fit.
    #[error("a number is not in its canonical form")]
    Number,
    /// A length or count is over its bound.
    #[error("a length is over its bound")]
    TooLong,
    /// A text is not UTF-8, or not of the kind expected.
    #[error("a text is malformed")]
    Text,
    /// A version, kind or flag that this release does not know.
    #[error("an unknown version, kind or flag")]
    Unknown,
    /// A list is not in ascending order or names something twice.
    #[error("a list is out of order")]
    Order,
}

/// Reads from the front of a slice.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        self.take(N)?.try_into().map_err(|_| CodecError::Truncated)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, CodecError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn fixed64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number in unsigned LEB128, shortest form only.
    pub(crate) fn number(&mut self) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if (shift == 63 && low > 1) || (shift > 0 && byte == 0) {
                return Err(CodecError::Number);
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Number)
    }

    /// A count or length of at most `max`.
    pub(crate) fn length(&mut self, max: usize) -> Result<usize, CodecError> {
        let length = usize::try_from(self.number()?).map_err(|_| CodecError::TooLong)?;
        if length > max { Err(CodecError::TooLong) } else { Ok(length) }
    }

    pub(crate) fn bytes(&mut self, max: usize) -> Result<&'a [u8], CodecError> {
        let length = self.length(max)?;
        self.take(length)
    }

    pub(crate) fn text(&mut self, max: usize) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| CodecError::Text)
    }

    /// The bytes before the next `end`, which is passed over.
    pub(crate) fn until(&mut self, end: u8) -> Result<&'a [u8], CodecError> {
        let length = self.rest.iter().position(|byte| *byte == end);
        let taken = self.take(length.ok_or(CodecError::Truncated)?)?;
        self.byte().map(|_| taken)
    }

    /// Everything that is left.
    pub(crate) const fn take_rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn finish(self) -> Result<(), CodecError> {
        if self.is_empty() { Ok(()) } else { Err(CodecError::Trailing) }
    }
}

/// Writes to the end of a vector.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With room for so many bytes: what grows to a megabyte is not moved again and again.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn byte(&mut self, byte: u8) -> &mut Self {
        self.raw(&[byte])
    }

    pub(crate) fn fixed64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.byte((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.byte((value & 0x7f) as u8)
    }

    pub(crate) fn length(&mut self, length: usize) -> &mut Self {
        self.number(length as u64)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len()).raw(bytes)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
