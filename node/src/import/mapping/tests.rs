//! Mapping files: what they say, and what is found wrong before any row is read.

use super::{Format, Mapping};

const HEAD: &str = r#"
source = "erp-emea"
key = { system = "customer-number", column = "KUNNR" }
"#;

/// The faults of a head with these lines behind it, each as `line: text`.
fn faults(rest: &str) -> Vec<String> {
    let text = format!("{HEAD}{rest}");
    let error = Mapping::parse("m.toml", &text).err();
    let faults = error.iter().flat_map(|error| error.faults());
    faults.map(|fault| format!("{}: {}", fault.line, fault.text)).collect()
}

fn one_column(lines: &str) -> Vec<String> {
    faults(&format!("[[columns]]\n{lines}"))
}

#[test]
fn the_mappings_of_the_examples_are_sound() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mappings");
    for name in ["emea", "amer", "apac", "febrl"] {
        let mapping = Mapping::load(&folder.join(format!("{name}.toml"))).unwrap();
        assert!(mapping.source().as_str().ends_with(name));
        assert_eq!(mapping.key_system() == "customer-number", name != "febrl");
    }
}

#[test]
fn what_is_not_said_has_a_default() {
    let mapping = Mapping::parse(
        "m.toml",
        &format!("{HEAD}[[columns]]\ncolumn = \"NAME1\"\nattribute = \"name/legal\"\n"),
    )
    .unwrap();
    assert_eq!(mapping.format(), Format::Csv { delimiter: b',' });
    assert_eq!(mapping.encoding, encoding_rs::UTF_8);
    assert!(!mapping.gives_numbers());
    let asked = format!(
        "{HEAD}numbers = \"give\"\n[[columns]]\ncolumn = \"NAME1\"\nattribute = \"name/legal\"\n"
    );
    assert!(Mapping::parse("m.toml", &asked).unwrap().gives_numbers());
    assert_eq!(mapping.columns, ["KUNNR", "NAME1"]);
    let entry = &mapping.entries[0];
    assert_eq!((entry.decimal, entry.date.as_str(), entry.clears), ('.', "%Y-%m-%d", false));
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
    let error = Mapping::parse("emea.toml", &format!("{HEAD}delimeter = \";\"\n")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("emea.toml, line 4: There is no key \"delimeter\" here."), "{text}");
    assert!(text.contains("Did you mean delimiter?"), "{text}");
    let found = one_column("colum = \"A\"\nattribute = \"name/legal\"\n");
    assert!(found[1].starts_with("5: "), "{found:?}");
    assert!(found[1].contains("Did you mean column?"), "{found:?}");
    let found = one_column("column = \"A\"\nattribute = \"name/legal\"\nfrobnicate = 1\n");
    assert!(found[0].contains("The keys here are column, constant,"), "{found:?}");
}

#[test]
fn every_fault_is_told_at_once() {
    let found = faults(
        "decimal = \";\"\n[[columns]]\ncolumn = \"A\"\nattribute = \"name/leagl\"\n\
         [[columns]]\ncolumn = \"B\"\nattribute = \"credit/1000/limit\"\nmember = \"amout\"\n",
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("4: decimal is one of \".\", \",\""), "{found:?}");
    assert!(found[1].starts_with("7: ") && found[1].contains("name/legal?"), "{found:?}");
    assert!(found[2].starts_with("11: ") && found[2].contains("Did you mean amount?"), "{found:?}");
}

#[test]
fn the_top_of_the_file_is_checked() {
    let of = |text: &str| Mapping::parse("m", text).unwrap_err().to_string();
    assert!(of("source = \"ERP\"\n").contains("lower-case"));
    let text = of("");
    for part in ["source is missing", "which customer a row is about", "no [[columns]]"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(of("source = ").contains("line 1: This is not TOML"));
    let top = |line: &str, part: &str| {
        let found =
            faults(&format!("{line}\n[[columns]]\ncolumn = \"A\"\nattribute = \"name/legal\""));
        assert!(found.len() == 1 && found[0].contains(part), "{line}: {found:?}");
    };
    top("format = \"xml\"", "\"csv\", \"jsonl\"");
    top("delimiter = \"::\"", "The delimiter is one of");
    top("format = \"jsonl\"\ndelimiter = \",\"", "no delimiter");
    top("encoding = \"utf-16\"", "is not an encoding that can be read");
    top("encoding = \"klingon\"", "is not an encoding that can be read");
    top("encoding = \"shift_jis\"\ndelimiter = \"|\"", "also a part of letters");
    top("date = \"%d.%m\"", "is not a format of days");
    top("date = \"%Q\"", "is not a format of days");
    top("default_country = \"Atlantis\"", "not a country");
    top("empty = \"delete\"", "\"skip\", \"clear\"");
}

#[test]
fn the_attribute_table_has_the_last_word() {
    let column = |attribute: &str, more: &str, part: &str| {
        let found = one_column(&format!("column = \"A\"\nattribute = \"{attribute}\"\n{more}"));
        assert!(found.len() == 1 && found[0].contains(part), "{attribute} {more}: {found:?}");
    };
    column("company/1000/payment_term", "", "Did you mean company/1000/payment_terms?");
    column("name", "", "is not an attribute path");
    column("name/{value}", "", "There is no attribute");
    column("bank/{slot:a}", "", "A slot stands for an item that has no natural key");
    column("general/industry/{value}", "member = \"x\"", "names the item and says all");
    column("company/{value}/payment_terms", "", "{value} names an item of a set");
    column("x/{column:B}", "", "names of own attributes are fixed");
    column("name/{what:x}/legal", "", "is not a placeholder");
    column("name/{value", "", "is not closed");
    column("name/legal}", "", "stands without its {");
    column("name/legal", "member = \"given\"", "is a single value");
    column("name/person", "", "holds several values");
    column("name/person", "member = \"given\"", "needs its member family");
    column("credit/1000/limit", "member = \"amount\"", "Add currency");
    column("name/legal", "currency = \"EUR\"", "currency belongs to an amount");
    column("name/legal", "type = \"money\"", "takes no money");
    column("name/legal", "type = \"int\"", "type is one of");
    column("bank/{value}", "empty = \"clear\"", "which item to take back");
    column("bank/{value}", "constant = \"x\"", "not both");
    column("name/legal", "unmapped = \"keep\"", "add values");
    column("general/established_on", "date = \"%H\"", "is not a format of days");
    column("identity/status", "values = { \"1\" = \"alive\" }", "is not one of");
    column("name/legal", "member = \"valid_from\"", "has a validity and no value");
    column("bank/DE89370400440532013001", "member = \"bic\"", "check");
}

#[test]
fn a_constant_is_put_through_the_door_at_once() {
    let constant = |attribute: &str, constant: &str, part: &str| {
        let found = one_column(&format!("constant = {constant}\nattribute = \"{attribute}\"\n"));
        assert!(found.iter().any(|f| f.contains(part)), "{attribute} {constant}: {found:?}");
    };
    constant("sales/1000:10:00/currency", "\"EURO\"", "not a currency");
    constant("name/legal", "1.5", "constant takes a text, a whole number");
    constant("bank/{value}", "true", "A constant has no {value}");
    constant("address_for/legal", "\"{slot:main}\"", "No column fills the slot");
    constant("name/legal", "\"\"", "constant takes a text");
    assert_eq!(one_column("constant = \"person\"\nattribute = \"identity/party_kind\"\n"), [""; 0]);
    let found = one_column("attribute = \"name/legal\"\n");
    assert!(found[0].contains("Say where the value comes from"), "{found:?}");
    let found =
        one_column("constant = \"a\"\nattribute = \"name/legal\"\nvalues = { a = \"b\" }\n");
    assert!(found[0].contains("values belongs to a column"), "{found:?}");
}

#[test]
fn two_columns_cannot_say_the_same() {
    let found = faults(
        "[[columns]]\ncolumn = \"A\"\nattribute = \"name/legal\"\n\
         [[columns]]\ncolumn = \"B\"\nattribute = \"name/legal\"\n",
    );
    assert_eq!(found, ["7: name/legal is already set in line 4."]);
    // Two columns with telephone numbers are two items.
    let found = faults(
        "[[columns]]\ncolumn = \"A\"\nattribute = \"phone/{value}\"\n\
         [[columns]]\ncolumn = \"B\"\nattribute = \"phone/{value}\"\n",
    );
    assert_eq!(found, [""; 0]);
}

#[test]
fn columns_can_be_written_as_a_list() {
    let text = "source = \"crm\"\nkey = { system = \"s\", column = \"K\" }\n\
                columns = [{ column = \"N\", attribute = \"name/legal\" }]\n";
    assert_eq!(Mapping::parse("m", text).unwrap().entries.len(), 1);
    let text = text
        .replace("[{", "")
        .replace("}]", "")
        .replace("columns =  column = \"N\", attribute = \"name/legal\" ", "columns = \"N\"");
    let error = Mapping::parse("m", &text).unwrap_err().to_string();
    assert!(error.contains("Write columns as tables: [[columns]]"), "{error}");
}
