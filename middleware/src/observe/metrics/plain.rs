//! The older text format, version 0.0.4, converted from OpenMetrics.

/// Converts the differences: names of families, types, and parts that only OpenMetrics has.
///
/// A counter's family has the name of its sample, including `_total`; `unknown` is called `untyped`; there are no
/// units, no exemplars and no end marker.
pub(super) fn plain(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, family) = described.split_once(' ').unwrap_or((described, ""));
            let (suffix, family) = match family {
                "counter" => ("_total", family),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", family),
            };
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                push_line(&mut text, &["# HELP ", name, suffix, " ", help]);
            }
            push_line(&mut text, &["# TYPE ", name, suffix, " ", family]);
        } else if !line.starts_with('#') {
            push_line(&mut text, &[without_exemplar(line)]);
        }
    }
    text
}

fn push_line(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

/// A sample up to the ` # ` of an exemplar, ignoring ` # ` in a label's value.
fn without_exemplar(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    let end = line.bytes().position(|byte| {
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && quoted && !escaped;
        byte == b'#' && !quoted
    });
    end.and_then(|end| line.get(..end))
        .map_or(line, str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_same_in_the_older_words() {
        let openmetrics = r##"# HELP a A counter.
# TYPE a counter
a_total 1 # {trace_id="x"} 1.0
# HELP b_seconds A histogram.
# TYPE b_seconds histogram
# UNIT b_seconds seconds
b_seconds_sum{x="# \"} #"} 2.5
b_seconds_bucket{le="+Inf",x="\\"} 1 # {trace_id="x"} 2.5 1.0
# HELP c About.
# TYPE c info
c_info{version="1"} 1
# TYPE d unknown
d 4
# TYPE e gauge
e -1
# EOF
"##;
        let expected = r##"# HELP a_total A counter.
# TYPE a_total counter
a_total 1
# HELP b_seconds A histogram.
# TYPE b_seconds histogram
b_seconds_sum{x="# \"} #"} 2.5
b_seconds_bucket{le="+Inf",x="\\"} 1
# HELP c_info About.
# TYPE c_info gauge
c_info{version="1"} 1
# TYPE d untyped
d 4
# TYPE e gauge
e -1
"##;
        assert_eq!(plain(openmetrics), expected);
        assert_eq!(plain(""), "");
    }
}
