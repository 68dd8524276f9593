//! The records of the FastCGI specification, version 1, section 3.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::cgi::Variables;

/// The maximum length of a record's content (section 3.3).
pub(super) const MAX_CONTENT: usize = u16::MAX as usize;
/// The length of a record's head.
const HEAD: usize = 8;
const VERSION: u8 = 1;

/// The type of a record (section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordType {
    BeginRequest,
    AbortRequest,
    EndRequest,
    Params,
    Stdin,
    Stdout,
    GetValues,
    GetValuesResult,
    UnknownType,
    /// One that a responder does not use.
    Other(u8),
}

const RECORD_TYPES: [(u8, RecordType); 9] = [
    (1, RecordType::BeginRequest),
    (2, RecordType::AbortRequest),
    (3, RecordType::EndRequest),
    (4, RecordType::Params),
    (5, RecordType::Stdin),
    (6, RecordType::Stdout),
    (9, RecordType::GetValues),
    (10, RecordType::GetValuesResult),
    (11, RecordType::UnknownType),
];

impl RecordType {
    fn of(number: u8) -> RecordType {
        let found = RECORD_TYPES.iter().find(|(known, _)| *known == number);
        found.map_or(RecordType::Other(number), |(_, record_type)| *record_type)
    }

    fn number(self) -> u8 {
        match self {
            RecordType::Other(number) => number,
            record_type => RECORD_TYPES
                .iter()
                .find(|(_, known)| *known == record_type)
                .map_or(0, |(number, _)| *number),
        }
    }
}

/// One record, without its padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) record_type: RecordType,
    /// 0 for records outside of requests (section 3.3).
    pub(super) id: u16,
    pub(super) content: Bytes,
}

/// The error of invalid FastCGI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MalformedRecord(pub(super) &'static str);

impl From<MalformedRecord> for std::io::Error {
    fn from(error: MalformedRecord) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error.0)
    }
}

impl Record {
    /// Removes the first record from `input`; `None` if it is incomplete.
    pub(super) fn decode(input: &mut BytesMut) -> Result<Option<Record>, MalformedRecord> {
        let Some(&[version, record_type, id1, id0, length1, length0, padding, _]) =
            input.first_chunk::<HEAD>()
        else {
            return match input.first() {
                Some(&version) if version != VERSION => {
                    Err(MalformedRecord("unsupported version of FastCGI"))
                }
                _ => Ok(None),
            };
        };
        if version != VERSION {
            return Err(MalformedRecord("unsupported version of FastCGI"));
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
            record_type: RecordType::of(record_type),
            id: u16::from_be_bytes([id1, id0]),
            content: whole,
        }))
    }
}

/// Writes `content` as records of a stream; writes nothing if it is empty, because that would end the stream.
pub(super) fn write_stream(
    output: &mut BytesMut,
    record_type: RecordType,
    id: u16,
    content: &[u8],
) {
    for part in content.chunks(MAX_CONTENT) {
        write(output, record_type, id, part);
    }
}

/// Ends a request (section 5.5), after its output.
pub(super) fn write_end(output: &mut BytesMut, id: u16, end: ProtocolStatus) {
    if end == ProtocolStatus::Complete {
        write(output, RecordType::Stdout, id, &[]);
    }
    write(
        output,
        RecordType::EndRequest,
        id,
        &[0, 0, 0, 0, end as u8, 0, 0, 0],
    );
}

/// How a request ended (section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ProtocolStatus {
    Complete = 0,
    CannotMultiplex = 1,
    UnknownRole = 3,
}

/// Writes one record; `content` is at most [`MAX_CONTENT`] bytes.
fn write(output: &mut BytesMut, record_type: RecordType, id: u16, content: &[u8]) {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    output.put_slice(&[VERSION, record_type.number()]);
    output.put_u16(id);
    output.put_u16(length);
    output.put_slice(&[0, 0]);
    output.put_slice(content);
}

/// Replies to a record outside of requests (section 4): with this server's capabilities, or that the record is unknown.
pub(super) fn write_reply(
    output: &mut BytesMut,
    record: &Record,
    max_connections: usize,
) -> Result<(), MalformedRecord> {
    if record.record_type != RecordType::GetValues {
        write(
            output,
            RecordType::UnknownType,
            0,
            &[record.record_type.number(), 0, 0, 0, 0, 0, 0, 0],
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
            // All of them are shorter than 128 bytes, so one byte is enough for a length.
            content.put_slice(&[
                u8::try_from(name.len()).unwrap_or(0),
                u8::try_from(value.len()).unwrap_or(0),
            ]);
            content.put_slice(name.as_bytes());
            content.put_slice(value.as_bytes());
        }
    }
    write(output, RecordType::GetValuesResult, 0, &content);
    Ok(())
}

/// The variables in a stream of parameters.
pub(super) fn variables(content: &Bytes, max: usize) -> Result<Variables, MalformedRecord> {
    Ok(pairs(content, max)?.into_iter().collect())
}

/// Reads names and values (section 3.4), at most `max` pairs of them.
fn pairs(content: &Bytes, max: usize) -> Result<Vec<(Bytes, Bytes)>, MalformedRecord> {
    let mut rest = content.clone();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        if pairs.len() == max {
            return Err(MalformedRecord("too many variables"));
        }
        let (name, value) = (length(&mut rest)?, length(&mut rest)?);
        let is_there = name
            .checked_add(value)
            .is_some_and(|both| both <= rest.len());
        if !is_there {
            return Err(MalformedRecord("a variable is incomplete"));
        }
        pairs.push((rest.split_to(name), rest.split_to(value)));
    }
    Ok(pairs)
}

fn length(rest: &mut Bytes) -> Result<usize, MalformedRecord> {
    let cut_off = MalformedRecord("a variable is incomplete");
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
            (record.record_type, record.id, &record.content[..]),
            (RecordType::Stdin, 0x102, &b"abc"[..])
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
        write_stream(&mut output, RecordType::Stdout, 1, &content);
        write_stream(&mut output, RecordType::Stdout, 1, b"");
        write_end(&mut output, 1, ProtocolStatus::Complete);
        let records = decoded(output);
        let found: Vec<_> = records
            .iter()
            .map(|record| (record.record_type, record.content.len()))
            .collect();
        let expected = [
            (RecordType::Stdout, MAX_CONTENT),
            (RecordType::Stdout, 1),
            (RecordType::Stdout, 0),
            (RecordType::EndRequest, 8),
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
        let ask = |record_type, content: &'static [u8]| {
            let mut output = BytesMut::new();
            let content = Bytes::from_static(content);
            write_reply(
                &mut output,
                &Record {
                    record_type,
                    id: 0,
                    content,
                },
                7,
            )
            .unwrap();
            decoded(output).remove(0)
        };
        let result = ask(
            RecordType::GetValues,
            b"\x0f\0FCGI_MPXS_CONNS\x0e\0FCGI_MAX_CONNS\x01\0x",
        );
        assert_eq!(result.record_type, RecordType::GetValuesResult);
        assert_eq!(
            result.content,
            "\u{e}\u{1}FCGI_MAX_CONNS7\u{f}\u{1}FCGI_MPXS_CONNS0"
        );
        let unknown = ask(RecordType::Other(77), b"");
        assert_eq!(
            (unknown.record_type, &unknown.content[..]),
            (RecordType::UnknownType, &[77, 0, 0, 0, 0, 0, 0, 0][..])
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(record_type in any::<u8>(), id in any::<u16>(), content in proptest::collection::vec(any::<u8>(), 1..300)) {
            let mut output = BytesMut::new();
            write_stream(&mut output, RecordType::of(record_type), id, &content);
            let expected = Record { record_type: RecordType::of(record_type), id, content: content.into() };
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
