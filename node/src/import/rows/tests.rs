//! Rows of files, well made and not.

use std::io::Read;

use super::{ROW_MAX, Row, Rows, check_encoding};
use crate::import::ImportError;
use crate::import::mapping::Mapping;

fn mapping(top: &str) -> Mapping {
    let text = format!(
        "source = \"crm\"\nkey = {{ system = \"s\", column = \"K\" }}\n{top}\n\
         [[columns]]\ncolumn = \"N\"\nattribute = \"name/legal\"\n"
    );
    Mapping::parse("m", &text).unwrap()
}

/// Gives one byte at a time, as a slow pipe may.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (Some((first, rest)), false) = (self.0.split_first(), buffer.is_empty()) else {
            return Ok(0);
        };
        buffer[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

fn rows(top: &str, input: &[u8]) -> Result<Vec<Row>, ImportError> {
    let mapping = mapping(top);
    let mut rows = Rows::open(Slow(input), &mapping)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        all.push(row);
    }
    assert_eq!(rows.consumed(), input.len() as u64);
    Ok(all)
}

fn texts(rows: &[Row]) -> Vec<Result<Vec<&str>, &str>> {
    fn of(row: &Row) -> Result<Vec<&str>, &str> {
        match &row.texts {
            Ok(texts) => Ok(texts.iter().map(String::as_str).collect()),
            Err(fault) => Err(&fault.code),
        }
    }
    rows.iter().map(of).collect()
}

#[test]
fn columns_are_found_by_their_names() {
    let rows = rows("", b"\xef\xbb\xbfX, N ,K\n1,Acme,7\r\n\r\n2,\"B, \"\"C\"\"\nD\",8").unwrap();
    assert_eq!(texts(&rows), [Ok(vec!["7", "Acme"]), Ok(vec!["8", "B, \"C\"\nD"])]);
    assert_eq!(rows[0].raw, b"1,Acme,7");
    assert_eq!(rows[1].raw, b"2,\"B, \"\"C\"\"\nD\",8");
}

#[test]
fn a_row_that_cannot_be_read_does_not_stop_the_next() {
    let input = b"K,N\n1,a,b\n2\n3,\"x\"y\n4,d\n5,\xff\n6,f\n7,\"never closed\n8,h\n";
    let rows = rows("", input).unwrap();
    assert_eq!(
        texts(&rows),
        [
            Err("row-ragged"),
            Err("row-ragged"),
            Err("quote-open"),
            Ok(vec!["4", "d"]),
            Err("encoding"),
            Ok(vec!["6", "f"]),
            Err("quote-open"),
        ]
    );
    assert!(rows[0].is_whole && !rows[2].is_whole);
    let text = &rows[6].texts.as_ref().unwrap_err().text;
    assert!(text.contains("line 8"), "{text}");
}

#[test]
fn a_line_without_end_costs_no_memory_and_one_row() {
    for (top, input) in [
        ("", [&b"K,N\n1,a\n2,"[..], &vec![b'x'; 10 << 20], b"\n3,c\n"].concat()),
        ("", [&b"K,N\n1,a\n2,\""[..], &vec![b'\n'; 10 << 20], b"\"\n3,c\n"].concat()),
        ("", [&b"K,N\n1,a\n"[..], &vec![b','; 10 << 20], b"\n3,c\n"].concat()),
        (
            "format = \"jsonl\"",
            [
                &b"{\"K\":1,\"N\":\"a\"}\n{\"K\":2,\"N\":\""[..],
                &vec![b'x'; 10 << 20],
                b"\"}\n{\"K\":\"3\",\"N\":\"c\"}",
            ]
            .concat(),
        ),
    ] {
        let rows = {
            let mapping = mapping(top);
            let mut rows = Rows::open(&input[..], &mapping).unwrap();
            std::iter::from_fn(|| rows.next().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(
            texts(&rows),
            [Ok(vec!["1", "a"]), Err("row-too-long"), Ok(vec!["3", "c"])],
            "{top}"
        );
        assert!(rows[1].raw.len() <= ROW_MAX);
    }
}

#[test]
fn a_header_that_does_not_fit_refuses_the_file() {
    let refused = |input: &[u8]| match rows("", input) {
        Err(ImportError::Header(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(refused(b"").contains("empty"));
    let text = refused(b"K,Nn\n");
    assert!(text.contains("no column N.") && text.contains("The nearest one is Nn."), "{text}");
    assert!(refused(b"K,N,N\n").contains("twice"));
    assert!(refused(b"K;N\n1;2\n").contains("Perhaps the delimiter is ';'"));
    assert!(texts(&rows("", b"K,N\n").unwrap()).is_empty());
}

#[test]
fn other_encodings_are_read_when_they_are_declared() {
    let input = b"K;N\n1;M\xfcller \x80\n";
    let rows = rows("delimiter = \";\"\nencoding = \"latin-1\"", input).unwrap();
    assert_eq!(texts(&rows), [Ok(vec!["1", "Müller €"])]);
    assert!(matches!(
        Rows::open(&b"\xef\xbb\xbfK;N\n"[..], &mapping("encoding = \"windows-1252\"")),
        Err(ImportError::Encoding(_))
    ));
}

#[test]
fn the_encoding_of_a_whole_file_is_looked_at_first() {
    let check = |top: &str, input: &[u8]| check_encoding(input, &mapping(top));
    let latin = b"K,N\n1,a\n2,M\xfcller\n";
    let error = check("", latin).unwrap_err().to_string();
    assert!(error.contains("Line 3") && error.contains("windows-1252"), "{error}");
    check("encoding = \"windows-1252\"", latin).unwrap();
    check("", "K,N\n1,Müller\n".as_bytes()).unwrap();
    check("encoding = \"windows-1252\"", b"K,N\n1,a\n").unwrap();
    let error = check("encoding = \"windows-1252\"", "K,N\n1,Müller\n".as_bytes()).unwrap_err();
    assert!(error.to_string().contains("would be garbled"), "{error}");
    let error = check("", b"\xff\xfeK\0,\0").unwrap_err();
    assert!(error.to_string().contains("UTF-16"), "{error}");
    // A letter on the border of two blocks is one letter, one cut at the end is none.
    let mut long = vec![b'x'; (64 << 10) - 1];
    long.extend("ü".as_bytes());
    check("", &long).unwrap();
    long.pop();
    assert!(check("", &long).is_err());
}

#[test]
fn json_lines_are_objects_with_members_or_pointers() {
    let text = "source = \"crm\"\nkey = { system = \"s\", column = \"id\" }\nformat = \"jsonl\"\n\
                [[columns]]\ncolumn = \"/name/legal\"\nattribute = \"name/legal\"\n\
                [[columns]]\ncolumn = \"on\"\nattribute = \"company/1000/clearing_with_vendor\"\n";
    let mapping = Mapping::parse("m", text).unwrap();
    let input = b"\xef\xbb\xbf{\"id\": 7, \"name\": {\"legal\": \"A\"}, \"on\": true}\r\n\n  \n\
        {\"id\":\"8\"}\n[]\n{\"id\":\"9\",\"id\":\"9\"}\n{\"id\":[1]}\n{\"id\":1} x\nnull";
    let mut rows = Rows::open(&input[..], &mapping).unwrap();
    let all: Vec<Row> = std::iter::from_fn(|| rows.next().unwrap()).collect();
    assert_eq!(
        texts(&all),
        [
            Ok(vec!["7", "A", "true"]),
            Ok(vec!["8", "", ""]),
            Err("json-malformed"),
            Err("json-malformed"),
            Err("wrong-type"),
            Err("json-malformed"),
            Err("json-malformed"),
        ]
    );
}
