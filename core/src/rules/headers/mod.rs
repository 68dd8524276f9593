//! Helpers for headers: lists of tokens, lengths, media types, `Vary`, dates, `Retry-After`.

mod content;
#[cfg(feature = "time")]
mod date;
mod list;
mod media_type;
mod retry_after;
mod token;

pub use self::content::{allows_content, content_length};
#[cfg(feature = "time")]
pub use self::date::{format_http_date, parse_http_date};
pub use self::list::{has_token, members, tokens, vary_add};
pub use self::media_type::MediaType;
pub use self::retry_after::retry_after;
pub use self::token::{is_token, is_token_byte};
