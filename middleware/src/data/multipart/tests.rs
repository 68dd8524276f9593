//! The decoder: each rule of the RFCs, each limit, and every split of its input.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use proptest::collection::vec;
use proptest::prelude::*;

use super::boundary::{FormType, form_type};
use super::decoder::{MultipartDecoder, MultipartEvent};
use super::error::MultipartError;
use super::limits::MultipartLimits;

/// What a body is, with the data of each part together: its name, its file name, its content.
type Parts = Vec<(String, Option<String>, Vec<u8>)>;

fn decode(pieces: &[&[u8]], limits: MultipartLimits) -> Result<Parts, String> {
    let decoded = || -> Result<Parts, MultipartError> {
        let mut decoder = MultipartDecoder::new(b"edge", limits)?;
        let mut parts = Parts::new();
        for piece in pieces {
            decoder.feed(Bytes::copy_from_slice(piece))?;
            while let Some(event) = decoder.next_event()? {
                match event {
                    MultipartEvent::Part(head) => {
                        let file_name = head.untrusted_file_name().map(str::to_owned);
                        parts.push((head.name().to_owned(), file_name, Vec::new()));
                    }
                    MultipartEvent::Data(data) => {
                        assert!(!data.is_empty());
                        parts.last_mut().unwrap().2.extend_from_slice(&data);
                    }
                    MultipartEvent::PartEnd | MultipartEvent::End => {}
                }
            }
        }
        decoder.finish()?;
        Ok(parts)
    };
    decoded().map_err(|error| error.to_string())
}

fn whole(body: &str) -> Result<Parts, String> {
    decode(&[body.as_bytes()], MultipartLimits::new())
}

fn field(name: &str, content: &str) -> (String, Option<String>, Vec<u8>) {
    (name.to_owned(), None, content.as_bytes().to_vec())
}

const HEAD: &str = "content-disposition: form-data; name=\"a\"\r\n\r\n";

#[test]
fn parts_are_found_between_boundaries() {
    for (body, expected) in [
        // None at all.
        ("--edge--", vec![]),
        ("--edge--\r\n", vec![]),
        // One, and two.
        (
            &format!("--edge\r\n{HEAD}salon\r\n--edge--\r\n"),
            vec![field("a", "salon")],
        ),
        (
            &format!("--edge\r\n{HEAD}salon\r\n--edge\r\n{HEAD}hall\r\n--edge--"),
            vec![field("a", "salon"), field("a", "hall")],
        ),
        // An empty one.
        (
            &format!("--edge\r\n{HEAD}\r\n--edge--\r\n"),
            vec![field("a", "")],
        ),
        // Text before and after, and padding behind a boundary (RFC 2046, section 5.1.1).
        (
            &format!(
                "before\r\nthis --edge\r\n--edge \t\r\n{HEAD}salon\r\n--edge-- \r\nafter\r\n--edge\r\n"
            ),
            vec![field("a", "salon")],
        ),
        // Content that begins like a boundary, or has CRs (CVE-2023-46136).
        (
            &format!("--edge\r\n{HEAD}\r\n--edg\r\r\r\n-\r\n\r\n--edge--"),
            vec![field("a", "\r\n--edg\r\r\r\n-\r\n")],
        ),
        (
            &format!("--edge\r\n{HEAD}--edge\r\n--edge--"),
            vec![field("a", "--edge")],
        ),
        // A line that ends with LF alone is content.
        (
            &format!("--edge\r\n{HEAD}a\n--edge--\r\n--edge--"),
            vec![field("a", "a\n--edge--")],
        ),
    ] {
        assert_eq!(whole(body), Ok(expected), "{body:?}");
    }
}

#[test]
fn names_are_read_as_browsers_and_curl_write_them() {
    let names = |disposition: &str| {
        let parts = whole(&format!(
            "--edge\r\ncontent-disposition: {disposition}\r\n\r\n\r\n--edge--"
        ));
        parts.map(|parts| (parts[0].0.clone(), parts[0].1.clone()))
    };
    for (disposition, name, file_name) in [
        ("form-data; name=\"a\"", "a", None),
        ("Form-Data;NAME=a;FileName=b", "a", Some("b")),
        ("form-data; name=\"café\"; filename=\"\"", "café", Some("")),
        // WHATWG HTML escapes three characters; a percent sign is one.
        (
            "form-data; name=\"%22a%0D%0Ab%0a%20%\"",
            "\"a\r\nb\n%20%",
            None,
        ),
        // curl, and RFC 9110's quoted-pair.
        (r#"form-data; name="a\"b\\c""#, r#"a"b\c"#, None),
        // Old browsers sent paths without escapes.
        (
            r#"form-data; name=a; filename="C:\new\file.txt""#,
            "a",
            Some(r"C:\new\file.txt"),
        ),
        ("form-data; name=\"a;b=c\"; x=y;; ", "a;b=c", None),
        // RFC 7578, section 4.2.
        (
            "form-data; name=a; filename=b; filename*=UTF-8''c",
            "a",
            Some("b"),
        ),
        ("form-data; name=\"\"", "", None),
    ] {
        let expected = (name.to_owned(), file_name.map(str::to_owned));
        assert_eq!(names(disposition), Ok(expected), "{disposition}");
    }
}

#[test]
fn what_is_malformed_is_an_error_that_says_what() {
    let head = |lines: &str| format!("--edge\r\n{lines}\r\n\r\nx\r\n--edge--");
    for (body, expected) in [
        (String::new(), "ends before its last boundary"),
        ("no boundary".to_owned(), "ends before its last boundary"),
        (
            format!("--edge\r\n{HEAD}salon\r\n"),
            "ends before its last boundary",
        ),
        (
            format!("--edge\r\n{HEAD}salon\r\n--edge"),
            "ends before its last boundary",
        ),
        (
            format!("--edge\r\n{HEAD}salon\r\n--edge-"),
            "ends before its last boundary",
        ),
        (
            "--edge\n".to_owned(),
            "something follows a boundary on its line",
        ),
        (
            format!("--edgex\r\n{HEAD}"),
            "something follows a boundary on its line",
        ),
        (
            format!("--edge -\r\n{HEAD}"),
            "something follows a boundary on its line",
        ),
        (
            "--edge\r\n\r\nx\r\n--edge--".to_owned(),
            "a part has no Content-Disposition",
        ),
        (
            head("content-type: text/plain"),
            "a part has no Content-Disposition",
        ),
        (
            head("content-disposition: form-data; filename=a"),
            "a part has no name",
        ),
        (
            head("content-disposition: attachment; name=a"),
            "a Content-Disposition is not form-data",
        ),
        (
            head("content-disposition: form-data; name=a; name=b"),
            "a Content-Disposition has a name twice",
        ),
        (
            head("content-disposition: form-data; name=a; filename=b; filename=c"),
            "a Content-Disposition has a name twice",
        ),
        (
            head("content-disposition: form-data; name"),
            "a parameter has no value",
        ),
        (
            head("content-disposition: form-data; name=\"a"),
            "a quoted string does not end",
        ),
        (
            head("content-disposition: form-data; name=\"a\"b"),
            "a parameter does not end with a semicolon",
        ),
        (
            head(
                "content-disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b",
            ),
            "a header of a part is repeated",
        ),
        // CVE-2026-26962.
        (
            head("content-disposition: form-data;\r\n name=a"),
            "a header of a part is folded",
        ),
        (
            head("content-disposition"),
            "a header of a part has no colon",
        ),
        (
            head("content disposition: x"),
            "a header of a part has a character that it cannot have",
        ),
        (
            head("x: a\0b"),
            "a header of a part has a character that it cannot have",
        ),
        (
            head(
                "content-disposition: form-data; name=a\r\ncontent-type: Multipart/mixed; boundary=x",
            ),
            "a part is a multipart body itself",
        ),
    ] {
        let error = whole(&body).unwrap_err();
        assert!(error.ends_with(expected), "{body:?}: {error}");
    }
    let not_text = b"--edge\r\ncontent-disposition: form-data; name=\"\xff\"\r\n\r\nx\r\n--edge--";
    let error = decode(&[not_text], MultipartLimits::new()).unwrap_err();
    assert_eq!(
        error,
        "the multipart body is malformed: a name is not UTF-8"
    );
}

#[test]
fn each_limit_is_exact() {
    let part = |content: usize| format!("--edge\r\n{HEAD}{}\r\n", "x".repeat(content));
    let file = |content: usize| {
        let head = HEAD.replace("\"a\"", "\"a\"; filename=b");
        format!("--edge\r\n{head}{}\r\n", "x".repeat(content))
    };
    let end = "--edge--";
    let limits = MultipartLimits::new();
    let long_head = |bytes: usize| {
        let lines = "content-disposition: form-data; name=a\r\nx: \r\n\r\n";
        format!(
            "--edge\r\n{}x\r\n",
            lines.replace("x: ", &format!("x: {}", "y".repeat(bytes - lines.len())))
        )
    };
    let parameters = |count: usize| {
        let more: String = (1..count).map(|number| format!("; p{number}=x")).collect();
        format!("--edge\r\ncontent-disposition: form-data; name=a{more}\r\n\r\n\r\n")
    };
    let lines = |count: usize| {
        let more: String = (1..count)
            .map(|number| format!("x{number}: y\r\n"))
            .collect();
        format!("--edge\r\n{more}{HEAD}\r\n")
    };
    for (limits, fits, exceeds, error) in [
        (
            limits.total_bytes(60),
            "--edge\r\n".to_owned() + &" ".repeat(52),
            " ".repeat(61),
            "60 bytes",
        ),
        (
            limits.preamble_bytes(4),
            "abc\n\r\n--edge--".into(),
            "abcde\r\n--edge--".into(),
            "4 bytes before the first part",
        ),
        (
            limits.preamble_bytes(4),
            "--edge--abcd".into(),
            "--edge--abcde".into(),
            "4 bytes after the last part",
        ),
        (
            limits.head_bytes(100),
            long_head(100) + end,
            long_head(101) + end,
            "100 bytes in the headers of a part",
        ),
        (
            limits.head_lines(3),
            lines(3) + end,
            lines(4) + end,
            "3 headers in a part",
        ),
        (
            limits,
            parameters(16) + end,
            parameters(17) + end,
            "16 parameters in a header",
        ),
        (
            limits.parts(2),
            part(1) + &file(1) + end,
            part(1) + &part(1) + &file(1),
            "2 parts",
        ),
        (
            limits.files(1),
            part(1) + &file(1) + end,
            file(1) + &file(1),
            "1 files",
        ),
        (
            limits.field_bytes(9),
            part(9) + &file(20) + end,
            part(10) + end,
            "9 bytes in a field",
        ),
        (
            // With 42 bytes of headers each.
            limits.fields_bytes(93),
            part(5) + &part(4) + &file(20) + end,
            part(5) + &part(5),
            "93 bytes in all fields",
        ),
        (
            limits.file_bytes(9),
            file(9) + &file(9) + &part(20) + end,
            file(10) + end,
            "9 bytes in a file",
        ),
    ] {
        let decoded = decode(&[fits.as_bytes()], limits);
        assert!(
            !decoded
                .as_ref()
                .is_err_and(|error| error.contains("more than")),
            "{error}: {decoded:?}"
        );
        let expected = format!("the multipart body has more than {error}");
        assert_eq!(decode(&[exceeds.as_bytes()], limits), Err(expected.clone()));
        // Byte by byte, so that nothing waits for the end of what is too long.
        let bytes: Vec<&[u8]> = exceeds.as_bytes().chunks(1).collect();
        assert_eq!(decode(&bytes, limits), Err(expected));
    }
}

#[test]
fn a_head_that_never_ends_is_refused_before_it_is_all_there() {
    let mut decoder = MultipartDecoder::new(b"edge", MultipartLimits::new()).unwrap();
    decoder.feed(Bytes::from_static(b"--edge\r\n")).unwrap();
    let mut fed = 0;
    let error = loop {
        decoder
            .feed(Bytes::from_static(b"x: yyyyyyyyyyyy\r\n"))
            .unwrap();
        fed += 17;
        match decoder.next_event() {
            Ok(event) => assert_eq!(event, None),
            Err(error) => break error,
        }
    };
    assert!(error.is_limit());
    assert!((8_192..8_192 + 17).contains(&fed), "{fed}");
    // It stays failed, and keeps nothing.
    assert!(decoder.next_event().is_err());
    assert!(decoder.finish().is_err());
}

#[test]
fn a_boundary_is_one_parameter_of_one_type() {
    let read = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_TYPE, value.parse().unwrap());
        }
        form_type(&headers).map_err(|error| error.to_string())
    };
    for (value, expected) in [
        ("multipart/form-data; boundary=edge", "edge"),
        ("Multipart/Form-Data;Boundary=\"a b\"; charset=utf-8", "a b"),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
    ] {
        assert_eq!(
            read(&[value]),
            Ok(FormType::Multipart(expected.into())),
            "{value}"
        );
    }
    for values in [
        &[][..],
        &["text/plain"],
        &["multipart/mixed; boundary=a"],
        &["multipart/form-data; boundary=a"; 2],
    ] {
        assert_eq!(read(values), Ok(FormType::Other), "{values:?}");
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for (value, error) in [
        ("multipart/form-data", "has no boundary"),
        ("multipart/form-data; boundary=", "the boundary is empty"),
        (
            "multipart/form-data; boundary =a",
            "the name of a parameter is not a token",
        ),
        (
            "multipart/form-data; boundary= a",
            "the value of a parameter has a space and no quotes",
        ),
        (
            "multipart/form-data; boundary=a b",
            "the value of a parameter has a space and no quotes",
        ),
        (
            "multipart/form-data; boundary=\"a \"",
            "the boundary ends with a space",
        ),
        // CVE-2026-26961.
        (
            "multipart/form-data; boundary=a; boundary=b",
            "has two boundaries",
        ),
        (
            "multipart/form-data; boundary=a; BOUNDARY=\"a\"",
            "has two boundaries",
        ),
        (
            "multipart/form-data; boundary=a*b",
            "has a character that it cannot have",
        ),
        (&long, "is longer than 70 characters"),
    ] {
        let found = read(&[value]).unwrap_err();
        assert!(found.ends_with(error), "{value}: {found}");
    }
}

/// Bodies that are valid, and some that are not.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"--edge"[..]),
        Just(&b"\r\n--edge\r\n"[..]),
        Just(&b"\r\n--edge--"[..]),
        Just(&b"\r"[..]),
        Just(&b"\n"[..]),
        Just(&b"-"[..]),
        Just(&b" "[..]),
        Just(&b"--edg"[..]),
        Just(HEAD.as_bytes()),
        Just(&b"content-disposition: form-data; name=\"b\"; filename=\"c\"\r\ncontent-type: text/plain\r\n\r\n"[..]),
        Just(&b"salon"[..]),
    ];
    vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_split_gives_the_same_parts(body in bodies(), cuts in vec(0_usize..200, 0..6), starts in any::<bool>()) {
        let body = if starts { [b"--edge\r\n", HEAD.as_bytes(), &body].concat() } else { body };
        let whole = decode(&[&body], MultipartLimits::new());
        let single: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(&decode(&single, MultipartLimits::new()), &whole);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
        prop_assert_eq!(decode(&pieces, MultipartLimits::new()), whole);
    }

    #[test]
    fn what_is_encoded_is_decoded(contents in vec(vec(any::<u8>(), 0..50), 0..5), cut in 0_usize..300) {
        prop_assume!(contents.iter().all(|content| memchr::memmem::find(content, b"--edge").is_none()));
        let mut body = Vec::new();
        for content in &contents {
            body.extend([b"--edge\r\n", HEAD.as_bytes(), content, b"\r\n"].concat());
        }
        body.extend(b"--edge--\r\n");
        let (first, second) = body.split_at(cut.min(body.len()));
        let parts = decode(&[first, second], MultipartLimits::new()).unwrap();
        let decoded: Vec<Vec<u8>> = parts.into_iter().map(|(_, _, content)| content).collect();
        prop_assert_eq!(decoded, contents);
    }
}
