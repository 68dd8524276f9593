//! One field of a form, from its beginning.

use bytes::Bytes;
use http::HeaderMap;

use super::boundary::{FormType, form_type};
use super::decoder::{MultipartDecoder, MultipartEvent};
use super::limits::MultipartLimits;

/// The first field of this name, if it is whole in the beginning of the form.
pub(crate) fn first_field(headers: &HeaderMap, start: Bytes, name: &str) -> Option<String> {
    let Ok(FormType::Multipart(boundary)) = form_type(headers) else {
        return None;
    };
    let mut decoder = MultipartDecoder::new(&boundary, MultipartLimits::new()).ok()?;
    decoder.feed(start).ok()?;
    let mut value: Option<Vec<u8>> = None;
    loop {
        match decoder.next_event().ok()?? {
            MultipartEvent::Part(head) if head.name() == name && !head.is_file() => {
                value = Some(Vec::new());
            }
            MultipartEvent::Data(data) => {
                if let Some(value) = &mut value {
                    value.extend_from_slice(&data);
                }
            }
            MultipartEvent::PartEnd => {
                if let Some(value) = value.take() {
                    return String::from_utf8(value).ok();
                }
            }
            MultipartEvent::Part(_) => {}
            MultipartEvent::End => return None,
        }
    }
}
