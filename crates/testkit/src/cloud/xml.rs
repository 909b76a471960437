//! As much XML as the dialects need.

/// Returns an element with this text in it.
pub(super) fn text(name: &str, text: &str) -> String {
    wrap(name, &escape(text))
}

/// Returns an element around others.
pub(super) fn wrap(name: &str, inside: &str) -> String {
    format!("<{name}>{inside}</{name}>")
}

/// Returns a document around the content of its root.
pub(super) fn document(root: &str, inside: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{}", wrap(root, inside))
}

/// Returns the insides of all elements with this name, in order. They must have no attributes.
pub(super) fn insides<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    document
        .split(&start)
        .skip(1)
        .filter_map(|rest| rest.split_once(&end))
        .map(|(inside, _)| inside)
        .collect()
}

/// Returns the text of the first element with this name.
pub(super) fn text_of(document: &str, name: &str) -> Option<String> {
    insides(document, name).first().map(|inside| unescape(inside))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub(super) fn unescape(text: &str) -> String {
    let quotes =
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    quotes.replace("&amp;", "&")
}
