//! Conditional requests and ranges (RFC 9110, sections 8.8, 13 and 14), as functions of plain values.
//!
//! [`Validators`] describe the current representation of a resource. [`evaluate`] compares them with the conditions of a
//! request, in the order of RFC 9110, section 13.2.2. [`if_range_holds`] and [`byte_ranges`] are the last step of that
//! order: which part of the content the client wants.
//!
//! The wrappers `Conditional`, `Etag` and `Ranges` of the crate `enfilade-middleware` use them for finished responses.
//!
//! ```
//! # use enfilade_core as enfilade;
//! use enfilade::conditional::{ByteRanges, EntityTag, Precondition, Validators, byte_ranges, evaluate};
//! use enfilade::http::{HeaderMap, HeaderValue, Method, header::IF_NONE_MATCH};
//!
//! let validators = Validators::new().entity_tag(EntityTag::strong("v7").unwrap());
//! let mut headers = HeaderMap::new();
//! headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"v6\", \"v7\""));
//! assert_eq!(evaluate(&Method::GET, &headers, &validators), Precondition::NotModified);
//! assert_eq!(evaluate(&Method::PUT, &headers, &validators), Precondition::Failed);
//!
//! let last_two = HeaderValue::from_static("bytes=-2");
//! assert_eq!(byte_ranges(&last_two, 10, 16), ByteRanges::Satisfiable(vec![8..10]));
//! ```

mod content_range;
mod entity_tag;
mod precondition;
mod ranges;
mod tag_list;
mod validators;

pub use self::content_range::ContentRange;
pub use self::entity_tag::{EntityTag, EntityTagError};
pub use self::precondition::{Precondition, evaluate, is_conditional, is_precondition};
pub use self::ranges::{ByteRanges, byte_ranges, if_range_holds};
pub use self::validators::Validators;
