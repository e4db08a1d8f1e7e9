//! Whether a whole file is in the encoding that the mapping declares: looked at before any row is
//! written, because letters that were read wrongly are not noticed later.

use std::io::{self, Read};

use encoding_rs::{DecoderResult, Encoding, UTF_8};

use crate::import::{ImportError, Mapping};

/// The bytes that are looked at together.
const BLOCK: usize = 64 << 10;

/// Reads a file to its end.
///
/// # Errors
/// [`ImportError::Encoding`] when it has bytes that are not of the encoding, or the letters of another
/// one; [`ImportError::Read`] when it cannot be read. Nothing was written.
pub fn check_encoding(mut input: impl Read, mapping: &Mapping) -> Result<(), ImportError> {
    let mut declared = Check::new(mapping.encoding);
    let mut utf8 = Check::new(UTF_8);
    let mut block = vec![0; BLOCK];
    let mut is_ascii = true;
    let mut is_first = true;
    loop {
        let count = match input.read(&mut block) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ImportError::Read(error)),
        };
        let bytes = &block[..count];
        if is_first && matches!(Encoding::for_bom(bytes), Some((found, _)) if found != UTF_8) {
            let text =
                "The file is UTF-16, as Excel's \"Unicode text\" is. Save it as \"CSV UTF-8\".";
            return Err(ImportError::Encoding(text.to_owned()));
        }
        is_first = false;
        is_ascii &= bytes.is_ascii();
        declared.feed(bytes, count == 0);
        utf8.feed(bytes, count == 0);
        if let Some(line) = declared.malformed {
            return Err(malformed(mapping.encoding, line));
        }
        if count == 0 {
            break;
        }
    }
    if mapping.encoding != UTF_8 && !is_ascii && utf8.malformed.is_none() {
        return Err(ImportError::Encoding(format!(
            "The mapping says {}, but every letter of the file is UTF-8: names would be garbled. Write \
             encoding = \"utf-8\".",
            mapping.encoding.name()
        )));
    }
    Ok(())
}

fn malformed(encoding: &'static Encoding, line: u64) -> ImportError {
    let hint = if encoding == UTF_8 {
        "If it comes from an older Windows program, declare encoding = \"windows-1252\" in the \
         mapping; otherwise save it as UTF-8."
    } else {
        "Declare the encoding that the file has, or save it as UTF-8."
    };
    let name = encoding.name();
    ImportError::Encoding(format!("Line {line} of the file has bytes that are not {name}. {hint}"))
}

/// Follows one encoding through a file.
struct Check {
    decoder: encoding_rs::Decoder,
    text: String,
    line: u64,
    /// The line of the first bytes that are not of the encoding.
    malformed: Option<u64>,
}

impl Check {
    fn new(encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        Self { decoder, text: String::with_capacity(BLOCK), line: 1, malformed: None }
    }

    fn feed(&mut self, bytes: &[u8], is_last: bool) {
        let mut rest = bytes;
        while self.malformed.is_none() {
            self.text.clear();
            let (result, read) =
                self.decoder.decode_to_string_without_replacement(rest, &mut self.text, is_last);
            self.line += self.text.bytes().filter(|byte| *byte == b'\n').count() as u64;
            rest = &rest[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.malformed = Some(self.line),
            }
        }
    }
}
