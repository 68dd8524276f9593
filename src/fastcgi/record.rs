//! The records of the FastCGI specification, version 1, section 3.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::cgi::Variables;

/// How long the content of a record may be (section 3.3).
pub(super) const MAX_CONTENT: usize = u16::MAX as usize;
/// How long the head of a record is.
const HEAD: usize = 8;
const VERSION: u8 = 1;

/// What a record is about (section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BeginRequest,
    AbortRequest,
    EndRequest,
    Params,
    Stdin,
    Stdout,
    GetValues,
    GetValuesResult,
    UnknownType,
    /// One that a responder has no use for.
    Other(u8),
}

const KINDS: [(u8, Kind); 9] = [
    (1, Kind::BeginRequest),
    (2, Kind::AbortRequest),
    (3, Kind::EndRequest),
    (4, Kind::Params),
    (5, Kind::Stdin),
    (6, Kind::Stdout),
    (9, Kind::GetValues),
    (10, Kind::GetValuesResult),
    (11, Kind::UnknownType),
];

impl Kind {
    fn of(number: u8) -> Kind {
        let found = KINDS.iter().find(|(known, _)| *known == number);
        found.map_or(Kind::Other(number), |(_, kind)| *kind)
    }

    fn number(self) -> u8 {
        match self {
            Kind::Other(number) => number,
            kind => KINDS
                .iter()
                .find(|(_, known)| *known == kind)
                .map_or(0, |(number, _)| *number),
        }
    }
}

/// One record, without its padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: Kind,
    /// 0 is for what is about no request (section 3.3).
    pub(super) id: u16,
    pub(super) content: Bytes,
}

/// What is no FastCGI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl From<Malformed> for std::io::Error {
    fn from(error: Malformed) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error.0)
    }
}

impl Record {
    /// Takes the first record off `input`; `None` where it is not all there.
    pub(super) fn decode(input: &mut BytesMut) -> Result<Option<Record>, Malformed> {
        let Some(&[version, kind, id1, id0, length1, length0, padding, _]) =
            input.first_chunk::<HEAD>()
        else {
            return match input.first() {
                Some(&version) if version != VERSION => {
                    Err(Malformed("another version of FastCGI"))
                }
                _ => Ok(None),
            };
        };
        if version != VERSION {
            return Err(Malformed("another version of FastCGI"));
        }
        let length = usize::from(u16::from_be_bytes([length1, length0]));
        let total = HEAD + length + usize::from(padding);
        if input.len() < total {
            input.reserve(total - input.len());
            return Ok(None);
        }
        let mut whole = input.split_to(total).freeze();
        whole.advance(HEAD);
        whole.truncate(length);
        Ok(Some(Record {
            kind: Kind::of(kind),
            id: u16::from_be_bytes([id1, id0]),
            content: whole,
        }))
    }
}

/// Writes `content` as records of a stream; nothing where it is empty, as that would end the stream.
pub(super) fn write_stream(output: &mut BytesMut, kind: Kind, id: u16, content: &[u8]) {
    for part in content.chunks(MAX_CONTENT) {
        write(output, kind, id, part);
    }
}

/// Ends a request (section 5.5), and its output before.
pub(super) fn write_end(output: &mut BytesMut, id: u16, end: End) {
    if end == End::Complete {
        write(output, Kind::Stdout, id, &[]);
    }
    write(
        output,
        Kind::EndRequest,
        id,
        &[0, 0, 0, 0, end as u8, 0, 0, 0],
    );
}

/// How a request ended (section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum End {
    Complete = 0,
    CannotMultiplex = 1,
    UnknownRole = 3,
}

/// Writes one record; `content` is at most [`MAX_CONTENT`] bytes.
fn write(output: &mut BytesMut, kind: Kind, id: u16, content: &[u8]) {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    output.put_slice(&[VERSION, kind.number()]);
    output.put_u16(id);
    output.put_u16(length);
    output.put_slice(&[0, 0]);
    output.put_slice(content);
}

/// Answers a record that is about no request (section 4): what this server can do, or that it does not know the record.
pub(super) fn write_reply(
    output: &mut BytesMut,
    record: &Record,
    max_connections: usize,
) -> Result<(), Malformed> {
    if record.kind != Kind::GetValues {
        write(
            output,
            Kind::UnknownType,
            0,
            &[record.kind.number(), 0, 0, 0, 0, 0, 0, 0],
        );
        return Ok(());
    }
    let asked = pairs(&record.content, MAX_CONTENT)?;
    let count = max_connections.to_string();
    let mut content = BytesMut::new();
    for (name, value) in [
        ("FCGI_MAX_CONNS", &*count),
        ("FCGI_MAX_REQS", &*count),
        ("FCGI_MPXS_CONNS", "0"),
    ] {
        if asked.iter().any(|(found, _)| found == name) {
            // All of them are shorter than 128 bytes, so one is enough for a length.
            content.put_slice(&[
                u8::try_from(name.len()).unwrap_or(0),
                u8::try_from(value.len()).unwrap_or(0),
            ]);
            content.put_slice(name.as_bytes());
            content.put_slice(value.as_bytes());
        }
    }
    write(output, Kind::GetValuesResult, 0, &content);
    Ok(())
}

/// The variables that a stream of parameters has.
pub(super) fn variables(content: &Bytes, max: usize) -> Result<Variables, Malformed> {
    Ok(pairs(content, max)?.into_iter().collect())
}

/// Reads names and values (section 3.4), `max` pairs of them at most.
fn pairs(content: &Bytes, max: usize) -> Result<Vec<(Bytes, Bytes)>, Malformed> {
    let mut rest = content.clone();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        if pairs.len() == max {
            return Err(Malformed("too many variables"));
        }
        let (name, value) = (length(&mut rest)?, length(&mut rest)?);
        let is_there = name
            .checked_add(value)
            .is_some_and(|both| both <= rest.len());
        if !is_there {
            return Err(Malformed("a variable is cut off"));
        }
        pairs.push((rest.split_to(name), rest.split_to(value)));
    }
    Ok(pairs)
}

fn length(rest: &mut Bytes) -> Result<usize, Malformed> {
    let cut_off = Malformed("a variable is cut off");
    let first = *rest.first().ok_or(cut_off)?;
    if first < 0x80 {
        rest.advance(1);
        return Ok(usize::from(first));
    }
    let four = *rest.first_chunk::<4>().ok_or(cut_off)?;
    rest.advance(4);
    let length = u32::from_be_bytes(four) & 0x7fff_ffff;
    usize::try_from(length).map_err(|_| cut_off)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn decoded(mut input: BytesMut) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(record) = Record::decode(&mut input).unwrap() {
            records.push(record);
        }
        assert!(input.is_empty());
        records
    }

    #[test]
    fn a_record_is_read_once_it_is_all_there() {
        let whole = b"\x01\x05\x01\x02\x00\x03\x02\x00abc\0\0rest";
        for count in 0..13 {
            let mut input = BytesMut::from(&whole[..count]);
            assert_eq!(Record::decode(&mut input), Ok(None), "{count}");
        }
        let mut input = BytesMut::from(&whole[..]);
        let record = Record::decode(&mut input).unwrap().unwrap();
        assert_eq!(
            (record.kind, record.id, &record.content[..]),
            (Kind::Stdin, 0x102, &b"abc"[..])
        );
        assert_eq!(input, "rest");
    }

    #[test]
    fn another_version_is_no_record() {
        for input in [&b"\x02"[..], b"GET / HTTP/1.1\r\n", b"\0\x01\0\0\0\0\0\0"] {
            assert!(Record::decode(&mut BytesMut::from(input)).is_err());
        }
    }

    #[test]
    fn content_is_cut_into_records() {
        let mut output = BytesMut::new();
        let content = vec![b'x'; MAX_CONTENT + 1];
        write_stream(&mut output, Kind::Stdout, 1, &content);
        write_stream(&mut output, Kind::Stdout, 1, b"");
        write_end(&mut output, 1, End::Complete);
        let records = decoded(output);
        let found: Vec<_> = records
            .iter()
            .map(|record| (record.kind, record.content.len()))
            .collect();
        let expected = [
            (Kind::Stdout, MAX_CONTENT),
            (Kind::Stdout, 1),
            (Kind::Stdout, 0),
            (Kind::EndRequest, 8),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn variables_have_short_and_long_lengths() {
        let long = "v".repeat(300);
        let content = [
            &b"\x01\x02abc\x01\x00x\x04\x80\x00\x01\x2cname"[..],
            long.as_bytes(),
        ]
        .concat();
        let variables = variables(&content.into(), 3).unwrap();
        let found: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let expected = [("a", "bc"), ("x", ""), ("name", &long)];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn variables_that_are_cut_off_or_too_many_are_refused() {
        for content in [
            &b"\x01"[..],
            b"\x01\x02ab",
            b"\x80\0\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xffa",
            b"\0\0\0\0\0\0\0\0",
        ] {
            assert!(
                variables(&Bytes::from_static(content), 3).is_err(),
                "{content:?}"
            );
        }
    }

    #[test]
    fn what_the_server_can_do_is_told() {
        let ask = |kind, content: &'static [u8]| {
            let mut output = BytesMut::new();
            let content = Bytes::from_static(content);
            write_reply(
                &mut output,
                &Record {
                    kind,
                    id: 0,
                    content,
                },
                7,
            )
            .unwrap();
            decoded(output).remove(0)
        };
        let result = ask(
            Kind::GetValues,
            b"\x0f\0FCGI_MPXS_CONNS\x0e\0FCGI_MAX_CONNS\x01\0x",
        );
        assert_eq!(result.kind, Kind::GetValuesResult);
        assert_eq!(
            result.content,
            "\u{e}\u{1}FCGI_MAX_CONNS7\u{f}\u{1}FCGI_MPXS_CONNS0"
        );
        let unknown = ask(Kind::Other(77), b"");
        assert_eq!(
            (unknown.kind, &unknown.content[..]),
            (Kind::UnknownType, &[77, 0, 0, 0, 0, 0, 0, 0][..])
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(kind in any::<u8>(), id in any::<u16>(), content in proptest::collection::vec(any::<u8>(), 1..300)) {
            let mut output = BytesMut::new();
            write_stream(&mut output, Kind::of(kind), id, &content);
            let expected = Record { kind: Kind::of(kind), id, content: content.into() };
            assert_eq!(decoded(output), [expected]);
        }

        #[test]
        fn any_bytes_are_records_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(record)) = Record::decode(&mut input) {
                let _ = write_reply(&mut BytesMut::new(), &record, 1);
                let _ = variables(&record.content, 10);
            }
        }
    }
}
