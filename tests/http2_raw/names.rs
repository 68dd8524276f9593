//! The names and numbers of HTTP/2 (RFC 9113, sections 6 and 7).

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITY_FLAG: u8 = 32;

pub(crate) const HEADER_TABLE_SIZE: u16 = 1;

const FRAMES: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];

const FLAGS: [(&str, u8); 5] = [
    ("END_STREAM", END_STREAM),
    ("ACK", ACK),
    ("END_HEADERS", END_HEADERS),
    ("PADDED", PADDED),
    ("PRIORITY", PRIORITY_FLAG),
];

const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// They begin with 1.
const SETTING_NAMES: [&str; 6] = [
    "HEADER_TABLE_SIZE",
    "ENABLE_PUSH",
    "MAX_CONCURRENT_STREAMS",
    "INITIAL_WINDOW_SIZE",
    "MAX_FRAME_SIZE",
    "MAX_HEADER_LIST_SIZE",
];

pub(crate) fn frame(name: &str) -> Option<u8> {
    let at = FRAMES.iter().position(|known| *known == name)?;
    u8::try_from(at).ok()
}

pub(crate) fn flag(name: &str) -> Option<u8> {
    let found = FLAGS.iter().find(|(known, _)| *known == name);
    found.map(|(_, bit)| *bit)
}

pub(crate) fn code(name: &str) -> Option<u32> {
    let at = CODES.iter().position(|known| *known == name)?;
    u32::try_from(at).ok()
}

pub(crate) fn code_name(code: u32) -> String {
    let known = CODES.get(code as usize);
    known.map_or(format!("code {code}"), ToString::to_string)
}

pub(crate) fn setting(name: &str) -> Option<u16> {
    let at = SETTING_NAMES.iter().position(|known| *known == name)?;
    u16::try_from(at + 1).ok()
}
