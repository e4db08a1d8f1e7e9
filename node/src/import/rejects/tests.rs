//! The reject file: rows as they were, and why.

use super::Rejects;
use crate::import::RowFault;
use crate::import::mapping::Mapping;
use crate::import::rows::Rows;

fn fault(code: &str, pointer: &str, text: &str) -> RowFault {
    RowFault { code: code.to_owned(), pointer: pointer.to_owned(), text: text.to_owned() }
}

fn mapping(top: &str) -> Mapping {
    let text = format!(
        "source = \"crm\"\nkey = {{ system = \"s\", column = \"K\" }}\n{top}\n\
         [[columns]]\ncolumn = \"N\"\nattribute = \"name/legal\"\n"
    );
    Mapping::parse("m", &text).unwrap()
}

/// The reject file of an input whose every row is rejected.
fn rejected(top: &str, input: &[u8]) -> Vec<u8> {
    let mapping = mapping(top);
    let mut rows = Rows::open(input, &mapping).unwrap();
    let mut out = Vec::new();
    let mut rejects = Rejects::new(&mut out, &mapping, rows.header());
    let faults = [fault("a", "/n", "Say \"é\"."), fault("b", "", "Two.")];
    while let Some(row) = rows.next().unwrap() {
        rejects.write(&row.raw, row.is_whole, &faults).unwrap();
    }
    out
}

#[test]
fn rows_of_csv_keep_their_bytes_and_get_three_columns() {
    let out = rejected("delimiter = \";\"", b"\xef\xbb\xbfK;N\r\n1;\"a;b\"\r\n2; c \r\n3;\"x");
    let expected = "\u{feff}K;N;rejected_code;rejected_pointer;rejected_text\n\
        1;\"a;b\";a b;/n;\"Say \"\"é\"\". Two.\"\n\
        2; c ;a b;/n;\"Say \"\"é\"\". Two.\"\n\
        \"3;\"\"x\";;a b;/n;\"Say \"\"é\"\". Two.\"\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn nothing_is_written_when_nothing_is_rejected() {
    assert!(rejected("", b"K,N\n").is_empty());
}

#[test]
fn a_reject_file_can_be_imported_and_rejected_again() {
    let once = rejected("", b"K,N\n1,\"a,b\"\n2,c\n");
    assert_eq!(rejected("", &once), once);
    let once = rejected("format = \"jsonl\"", b"{\"K\":1,\"N\":\"a\"}\n");
    assert_eq!(rejected("format = \"jsonl\"", &once), once);
}

#[test]
fn the_reject_file_has_the_encoding_of_the_input() {
    let out = rejected("encoding = \"windows-1252\"", b"K,N\n1,M\xfcller\n");
    assert!(out.windows(8).any(|bytes| bytes == b"M\xfcller,a"), "{out:?}");
    assert!(out.windows(2).any(|bytes| bytes == b"\xe9\""), "{out:?}");
}

#[test]
fn lines_of_json_get_a_member() {
    let out = rejected("format = \"jsonl\"", b"{ \"K\": 1.10 }\n{}\nnonsense \"\n");
    let text = String::from_utf8(out).unwrap();
    let faults = "{\"rejected\":[{\"code\":\"a\",\"pointer\":\"/n\",\"text\":\"Say \\\"é\\\".\"},\
                  {\"code\":\"b\",\"pointer\":\"\",\"text\":\"Two.\"}]";
    let expected =
        format!("{faults}, \"K\": 1.10 }}\n{faults}}}\n{faults},\"line\":\"nonsense \\\"\"}}\n");
    assert_eq!(text, expected);
}
