//! An event stream read as WHATWG HTML § 9.2.5 and § 9.2.6 say, sentence by sentence and slowly: the text is decoded as a
//! whole, split into lines, and each line processed with the buffers that the standard names.
//!
//! It knows nothing of pieces and shares no code with the parser that it is held against.

/// The data of the events that the standard dispatches.
pub(crate) fn data_of_events(stream: &[u8]) -> Vec<String> {
    // "Streams must be decoded using the UTF-8 decode algorithm", which strips one leading byte order mark.
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);

    let mut dispatched = Vec::new();
    let mut data = String::new();
    for line in lines(text) {
        // "If the line is empty (a blank line): dispatch the event."
        if line.is_empty() {
            dispatch(&mut data, &mut dispatched);
        // "If the line starts with a U+003A COLON character: ignore the line."
        } else if line.starts_with(':') {
            // "If the line contains a U+003A COLON character": the name is what stands before the first one; "if value
            // starts with a U+0020 SPACE character, remove it from value".
        } else if let Some((field, value)) = line.split_once(':') {
            process(field, value.strip_prefix(' ').unwrap_or(value), &mut data);
        // "Otherwise": the whole line is the name, and the value is the empty string.
        } else {
            process(line, "", &mut data);
        }
    }
    // "Once the end of the file is reached, any pending data must be discarded."
    dispatched
}

/// The lines that have an end: CRLF, a lone LF or a lone CR.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\r', '\n']) {
        lines.push(&rest[..end]);
        rest = &rest[end..];
        rest = rest.strip_prefix("\r\n").unwrap_or_else(|| &rest[1..]);
    }
    lines
}

fn process(field: &str, value: &str, data: &mut String) {
    // "If the field name is data: append the field value to the data buffer, then append a single U+000A LINE FEED
    // character to the data buffer." The other fields have no data.
    if field == "data" {
        data.push_str(value);
        data.push('\n');
    }
}

fn dispatch(data: &mut String, dispatched: &mut Vec<String>) {
    // "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string and
    // return."
    if data.is_empty() {
        return;
    }
    // "If the data buffer's last character is a U+000A LINE FEED character, then remove the last character."
    let mut event = std::mem::take(data);
    event.pop();
    dispatched.push(event);
}
