//! Bytes of a peer in sentences.

/// The most bytes of a peer in a sentence.
const MOST: usize = 200;

/// Bytes of a peer, escaped and cut.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let bytes = bytes.trim_ascii_end();
    let cut = &bytes[..bytes.len().min(MOST)];
    let more = if cut.len() < bytes.len() { "…" } else { "" };
    format!("“{}{more}”", cut.escape_ascii())
}
