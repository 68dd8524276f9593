//! The parameters of a header value: `; name=value; name="value"`.

use enfilade_core::headers::is_token;

use super::error::MultipartError;

/// The maximum number of parameters of one value.
const MOST: usize = 16;

/// Iterates over the parameters behind a value, with quoted strings decoded.
///
/// `\"` and `\\` are the only escapes, as some browsers sent `C:\folder\file` without any. Empty parameters are skipped.
pub(super) fn parameters(
    text: &[u8],
) -> impl Iterator<Item = Result<(&[u8], Vec<u8>), MultipartError>> {
    let (mut rest, mut count) = (text, 0);
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_ascii_start();
            let [b';', after @ ..] = rest else {
                let is_over = rest.is_empty();
                rest = b"";
                return (!is_over).then(|| {
                    Err(MultipartError::malformed(
                        "a parameter does not end with a semicolon",
                    ))
                });
            };
            rest = after.trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b";") {
                break;
            }
        }
        count += 1;
        if count > MOST {
            rest = b"";
            return Some(Err(MultipartError::too_much(
                "parameters in a header",
                MOST as u64,
            )));
        }
        let parameter = one(&mut rest);
        if parameter.is_err() {
            rest = b"";
        }
        Some(parameter)
    })
}

/// Takes one parameter off the front.
fn one<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], Vec<u8>), MultipartError> {
    let equals = rest.iter().position(|byte| matches!(byte, b'=' | b';'));
    let Some((name, [b'=', value @ ..])) = equals.and_then(|at| rest.split_at_checked(at)) else {
        return Err(MultipartError::malformed("a parameter has no value"));
    };
    // Not `name = value`: parsers disagree about the spaces.
    if !is_token(name) {
        return Err(MultipartError::malformed(
            "the name of a parameter is not a token",
        ));
    }
    if let [b'"', quoted @ ..] = value {
        let (text, after) = unquote(quoted)?;
        *rest = after;
        return Ok((name, text));
    }
    let end = value
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(value.len());
    let (text, after) = value.split_at(end);
    *rest = after;
    let text = text.trim_ascii_end();
    match text.iter().any(u8::is_ascii_whitespace) {
        true => Err(MultipartError::malformed(
            "the value of a parameter has a space and no quotes",
        )),
        false => Ok((name, text.to_vec())),
    }
}

/// The text of a quoted string, and what follows it.
fn unquote(quoted: &[u8]) -> Result<(Vec<u8>, &[u8]), MultipartError> {
    let end = memchr::memchr2(b'"', b'\\', quoted).unwrap_or(quoted.len());
    let (plain, mut rest) = quoted.split_at(end);
    let mut text = plain.to_vec();
    loop {
        match rest {
            [b'"', after @ ..] => return Ok((text, after)),
            // Browsers escape no backslash: here one is the end of the name.
            [b'\\', b'"', after @ ..]
                if matches!(after.trim_ascii_start(), [] | [b';', ..])
                    && !after.contains(&b'"') =>
            {
                text.push(b'\\');
                return Ok((text, after));
            }
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                text.push(*escaped);
                rest = after;
            }
            [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
            [] => return Err(MultipartError::malformed("a quoted string does not end")),
        }
    }
}
