//! The head of an SCGI request: a netstring of variables.

use bytes::{Buf, Bytes, BytesMut};
use enfilade_core::HttpError;
use http::StatusCode;

use crate::cgi::Variables;

/// The maximum number of variables of a request.
const MAX_VARIABLES: usize = 1000;
/// The maximum number of digits of a length; no allowed length has more.
const MAX_DIGITS: usize = 10;

/// Removes the variables from `input`; `None` if they are incomplete.
///
/// # Errors
///
/// A 400 that names the fault, or a 431 if they are longer than `max` bytes.
pub(super) fn decode(input: &mut BytesMut, max: usize) -> Result<Option<Variables>, HttpError> {
    let digits = input
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let is_canonical = digits <= MAX_DIGITS && !(digits > 1 && input.starts_with(b"0"));
    match input.get(digits) {
        _ if !is_canonical => return Err(bad("the length is not a number")),
        None => return Ok(None),
        Some(b':') if digits > 0 => {}
        Some(_) => return Err(bad("it does not begin with a netstring")),
    }
    let text = input
        .get(..digits)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let length = text.and_then(|text| text.parse::<usize>().ok());
    let length = length.ok_or_else(|| bad("the length is not a number"))?;
    if length > max {
        return Err(HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    // The digits, the colon, the content and the comma.
    let total = digits + 1 + length + 1;
    if input.len() < total {
        input.reserve(total - input.len());
        return Ok(None);
    }
    let mut content = input.split_to(total).freeze();
    content.advance(digits + 1);
    match content.split_off(length).first() {
        Some(b',') => variables(&content).map(Some),
        _ => Err(bad("the netstring does not end with a comma")),
    }
}

fn bad(what: &str) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST).message(format!("Invalid SCGI: {what}"))
}

/// Names and values, each ended by a NUL; `CONTENT_LENGTH` is the first, and `SCGI` is `1`.
fn variables(content: &Bytes) -> Result<Variables, HttpError> {
    let mut rest = content.clone();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let name = until_nul(&mut rest).ok_or_else(|| bad("a name has no NUL at its end"))?;
        let value = until_nul(&mut rest).ok_or_else(|| bad("a value has no NUL at its end"))?;
        if pairs.len() == MAX_VARIABLES {
            return Err(HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        }
        pairs.push((name, value));
    }
    let is_measured = pairs
        .first()
        .is_some_and(|(name, value)| name == "CONTENT_LENGTH" && !value.is_empty());
    if !is_measured {
        return Err(bad("CONTENT_LENGTH is not the first variable"));
    }
    if !pairs
        .iter()
        .any(|(name, value)| name == "SCGI" && value == "1")
    {
        return Err(bad("the version is not 1"));
    }
    Ok(pairs.into_iter().collect())
}

fn until_nul(rest: &mut Bytes) -> Option<Bytes> {
    let at = rest.iter().position(|&byte| byte == 0)?;
    let text = rest.split_to(at);
    rest.advance(1);
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn read(input: &[u8]) -> Result<Option<Variables>, String> {
        decode(&mut BytesMut::from(input), 100).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_are_read_once_they_are_all_there() {
        let content = b"CONTENT_LENGTH\x002\0SCGI\x001\0A\0bc\0";
        let whole = [format!("{}:", content.len()).as_bytes(), content, b",Hi"].concat();
        for count in 0..whole.len() - 2 {
            assert!(read(&whole[..count]).unwrap().is_none(), "{count}");
        }
        let mut input = BytesMut::from(&whole[..]);
        let variables = decode(&mut input, 100).unwrap().unwrap();
        let found: Vec<_> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(found, ["CONTENT_LENGTH=2", "SCGI=1", "A=bc"]);
        assert_eq!(input, "Hi");
    }

    #[test]
    fn what_is_no_scgi_is_refused() {
        let many = format!("CONTENT_LENGTH\x000\0SCGI\x001\0{}", "A\0\0".repeat(1000));
        let many = format!("{}:{many},", many.len());
        let error = decode(&mut BytesMut::from(many.as_bytes()), 1 << 20).unwrap_err();
        assert_eq!(error.status(), 431);
        for (input, expected) in [
            (
                &b"GET / HTTP/1.1\r\n"[..],
                "400 Invalid SCGI: it does not begin with a netstring",
            ),
            (
                b":,",
                "400 Invalid SCGI: it does not begin with a netstring",
            ),
            (b"03:", "400 Invalid SCGI: the length is not a number"),
            (
                b"99999999999",
                "400 Invalid SCGI: the length is not a number",
            ),
            (b"101:", "431 Request Header Fields Too Large"),
            (
                b"0:,",
                "400 Invalid SCGI: CONTENT_LENGTH is not the first variable",
            ),
            (
                b"0:x",
                "400 Invalid SCGI: the netstring does not end with a comma",
            ),
            (
                b"3:A\0b,",
                "400 Invalid SCGI: a value has no NUL at its end",
            ),
            (b"1:A,", "400 Invalid SCGI: a name has no NUL at its end"),
            (
                b"7:SCGI\x001\0,",
                "400 Invalid SCGI: CONTENT_LENGTH is not the first variable",
            ),
            (
                b"16:CONTENT_LENGTH\0\0,",
                "400 Invalid SCGI: CONTENT_LENGTH is not the first variable",
            ),
            (
                b"17:CONTENT_LENGTH\x000\0,",
                "400 Invalid SCGI: the version is not 1",
            ),
        ] {
            assert_eq!(read(input).unwrap_err(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_variables_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes);
            let _ = read(&[format!("{}:", bytes.len()).as_bytes(), &bytes, b","].concat());
        }

        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec("[a-z]{0,9}", 0..5)) {
            let pairs: String = values.iter().map(|value| format!("N\0{value}\0")).collect();
            let content = format!("CONTENT_LENGTH\x000\0SCGI\x001\0{pairs}");
            let found = read(format!("{}:{content},", content.len()).as_bytes()).unwrap().unwrap();
            let found: Vec<_> = found.iter().skip(2).map(|(_, value)| value.into_owned()).collect();
            assert_eq!(found, values);
        }
    }
}
