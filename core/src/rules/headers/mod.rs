//! What wrappers do with headers all the time: lists of tokens, lengths, `Vary`, dates, `Retry-After`.

mod content;
mod date;
mod list;
mod retry_after;
mod token;

pub use self::content::{allows_content, content_length};
pub use self::date::{format_http_date, parse_http_date};
pub use self::list::{has_token, members, tokens, vary_add};
pub use self::retry_after::retry_after;
pub use self::token::{is_token, is_token_byte};
