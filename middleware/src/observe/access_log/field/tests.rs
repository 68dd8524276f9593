use super::*;

#[test]
fn addresses_are_written_as_everybody_writes_them() {
    for text in [
        "0.0.0.0",
        "1.20.255.99",
        "255.255.255.255",
        "100.10.9.109",
        "::1",
    ] {
        let mut line = Vec::new();
        address(&mut line, Some(text.parse().unwrap()));
        assert_eq!(line, text.as_bytes());
    }
}
